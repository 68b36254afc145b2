"""What a chat did not let in is shown when it is back: the bot is let in again, or somebody writes there."""

from typing import Any

import structlog

from aisha.database import messages, outbox
from aisha.database.connect import Connection
from aisha.database.inbox import Unhandled

log = structlog.get_logger(__name__)

DAYS = 7
OUTSIDE = {"left", "kicked"}


async def show_what_waits(connection: Connection, row: Unhandled) -> None:
    """Make due what waits for the chat of an update that shows that the bot is in it.

    The update is read without a model: the Bot API's members get new fields, and aiogram refuses those that lack one.
    """
    let_in = _chat_that_let_in(row.update)
    if (chat_id := row.chat_id or let_in) is None:
        return
    if about := await connection.all(outbox.readmit(chat_id, days=DAYS, patient=let_in is None)):
        log.info("showing what the chat did not let in", chat_id=chat_id, messages=sorted(set(about)))
        await connection.run(messages.readmit(about))


def _chat_that_let_in(update: dict[str, Any]) -> int | None:
    """Return the chat of a `my_chat_member` that leaves the bot in it."""
    try:
        change = update["my_chat_member"]
        chat_id, status = change["chat"]["id"], change["new_chat_member"]["status"]
    except (KeyError, TypeError):
        return None
    return (
        chat_id
        if isinstance(chat_id, int) and -(2**63) <= chat_id < 2**63 and status not in OUTSIDE
        else None
    )
