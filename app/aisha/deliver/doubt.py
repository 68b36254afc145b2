"""Resolves doubt: finds out whether a message was sent whose sending was interrupted before its id was recorded.

The Bot API has no look-up, but a bot can edit its own messages and no others, and an edit is idempotent. So the ids
that the message may have got are edited, one after the other, with the text that it should show: the one that can be
edited is the lost message. A chat's messages are sent one at a time, so at most one is in doubt.
"""

import structlog
from aiogram import Bot
from aiogram.exceptions import TelegramBadRequest

from aisha.database import outbox
from aisha.database.connect import Connection
from aisha.database.outbox import Outgoing
from aisha.deliver.calls import edit

log = structlog.get_logger(__name__)

PROBES = 300
PROBE_MARGIN = 20


class Doubts:
    """The rows in doubt and the ids already ruled out for each, so that a 429 does not start the search over."""

    def __init__(self) -> None:
        self._refused: dict[int, set[int]] = {}

    async def resolve(self, bot: Bot, connection: Connection, row: Outgoing) -> int | None:
        """Return the id of the row's message, which then shows the row's text, or None when it was never sent.

        Raises:
            TelegramAPIError: Telegram cannot tell now; the doubt remains.
        """
        refused = self._refused.setdefault(row.id, set())
        found = None
        for candidate in await _candidates(connection, row):
            if candidate not in refused and await _is_ours(bot, row, candidate):
                found = candidate
                break
            refused.add(candidate)
        self._refused.pop(row.id, None)
        log.info("doubt resolved", sent_id=found)
        return found


async def _is_ours(bot: Bot, row: Outgoing, message_id: int) -> bool:
    try:
        await edit(bot, row, message_id)
    except TelegramBadRequest:
        return False
    return True


async def _candidates(connection: Connection, row: Outgoing) -> list[int]:
    """Return the ids that a message in doubt may have got, the likely ones first.

    They lie above `after_id`, and none is known in this chat. One that is known in another chat may still be this
    chat's on a server that counts per chat, so it comes last.
    """
    assert row.after_id is not None  # committed with the intent
    after = row.after_id
    known = await connection.all(outbox.known_ids(row.chat_id, after))
    here = {each.id for each in known if each.here}
    elsewhere = {each.id for each in known} - here
    highest = max(here | elsewhere, default=after) + PROBE_MARGIN
    free = [candidate for candidate in range(after + 1, highest + 1) if candidate not in here]
    return sorted(free, key=lambda candidate: (candidate in elsewhere, candidate))[:PROBES]
