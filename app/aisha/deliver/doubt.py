"""Finds out what became of a sending that was interrupted before the id of its message was recorded.

The Bot API has no look-up, but it lets a bot edit its own messages and nothing else, and an edit may be repeated. So
the ids that the message may have got are edited, one after the other, with the text that it should show: the one that
lets itself be edited is the lost message. A chat's messages are sent one at a time, so at most one is in doubt.
"""

import structlog
from aiogram import Bot
from aiogram.exceptions import TelegramBadRequest

from aisha.database.connect import Connection
from aisha.deliver.calls import Row, edit

log = structlog.get_logger(__name__)

PROBES = 300
PROBE_MARGIN = 20
KNOWN_IDS = """
    SELECT message_id AS id, chat_id = %(chat_id)s AS here FROM inbox WHERE message_id > %(after)s AND {scope}
    UNION SELECT sent_id, chat_id = %(chat_id)s FROM outbox WHERE sent_id > %(after)s AND {scope}
"""
# Private chats and basic groups share one counter of message ids; a supergroup or channel has its own.
SHARED_COUNTER = "chat_id > -1000000000000"
OWN_COUNTER = "chat_id = %(chat_id)s"


class Doubts:
    """The sendings in doubt, and the ids that are known not to be theirs: a 429 in between starts nothing anew."""

    def __init__(self) -> None:
        self._refused: dict[int, set[int]] = {}

    async def resolve(self, bot: Bot, connection: Connection, row: Row) -> int | None:
        """Return the id of the row's message, which then shows the row's text, or None when it was never sent.

        Raises:
            TelegramAPIError: Telegram cannot tell now; the doubt remains.
        """
        refused = self._refused.setdefault(row["id"], set())
        found = None
        for candidate in await _candidates(connection, row):
            if candidate not in refused and await _is_ours(bot, row, candidate):
                found = candidate
                break
            refused.add(candidate)
        self._refused.pop(row["id"], None)
        log.info("an interrupted sending is settled", sent_id=found)
        return found


async def _is_ours(bot: Bot, row: Row, message_id: int) -> bool:
    try:
        await edit(bot, row, message_id)
    except TelegramBadRequest:
        return False
    return True


async def _candidates(connection: Connection, row: Row) -> list[int]:
    """Return the ids that an interrupted sending may have got, the likely ones first.

    They lie above `after_id`, and none is known in this chat. One that is known in another chat may still be this
    chat's on a server that counts per chat, so it comes last.
    """
    supergroup = row["chat_id"] <= -1_000_000_000_000
    query = KNOWN_IDS.format(scope=OWN_COUNTER if supergroup else SHARED_COUNTER)
    cursor = await connection.execute(query, {"after": row["after_id"], "chat_id": row["chat_id"]})
    rows = await cursor.fetchall()
    here = {known["id"] for known in rows if known["here"]}
    elsewhere = {known["id"] for known in rows} - here
    highest = max(here | elsewhere, default=row["after_id"]) + PROBE_MARGIN
    free = [candidate for candidate in range(row["after_id"] + 1, highest + 1) if candidate not in here]
    return sorted(free, key=lambda candidate: (candidate in elsewhere, candidate))[:PROBES]
