"""Answers to what people write, in the forum topic where they wrote it."""

from typing import Any

from aiogram.types import Message

from aisha.database import outbox
from aisha.database.statement import Statement


def topic_of(message: Message) -> int | None:
    """Return the forum topic of a message; the thread of a mere reply in a group is none."""
    return message.message_thread_id if message.is_topic_message else None


def reply(
    message: Message, text: str, *, quote: bool = False, markup: dict[str, Any] | None = None
) -> Statement[None]:
    """Answer a message, on request as a visible reply to it; its sender is the one who asked for the buttons."""
    return outbox.reply(
        message.chat.id,
        text,
        reply_to=message.message_id if quote else None,
        markup=markup,
        thread_id=topic_of(message),
        asked_by=message.from_user.id if message.from_user else None,
    )
