"""What a chat did not let in is shown when it is back: the bot is let in again, or somebody writes there."""

from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from aiogram import F, Router
from aiogram.enums import ChatMemberStatus
from aiogram.types import ChatMemberUpdated, Message

from aisha.database import messages, outbox
from aisha.database.connect import Connection

router = Router(name="membership")
log = structlog.get_logger(__name__)

DAYS = 7
GONE = {ChatMemberStatus.LEFT, ChatMemberStatus.KICKED}


@router.my_chat_member(~F.new_chat_member.status.in_(GONE))
async def let_in(event: ChatMemberUpdated, connection: Connection) -> None:
    """Show what waits for a chat that has let the bot in."""
    await _show(connection, event.chat.id, patient=False)


@router.my_chat_member()
async def shut_out(event: ChatMemberUpdated) -> None:
    """Do nothing: what cannot be sent says so itself."""
    log.info("blocked or removed", chat_id=event.chat.id)


async def show_what_waits(
    handler: Callable[[Any, dict[str, Any]], Awaitable[Any]], message: Any, data: dict[str, Any]
) -> Any:
    """Show what waits for the chat of a message before the message is handled; a middleware of aiogram."""
    assert isinstance(message, Message)
    await _show(data["connection"], message.chat.id, patient=True)
    return await handler(message, data)


async def _show(connection: Connection, chat_id: int, *, patient: bool) -> None:
    if about := await connection.all(outbox.readmit(chat_id, days=DAYS, patient=patient)):
        log.info("showing what the chat did not let in", chat_id=chat_id, messages=sorted(set(about)))
        await connection.run(messages.readmit(about))
