"""Finding what somebody wants transcribed: the recording that they send, or the one that they point at."""

from dataclasses import dataclass

from aiogram import Bot
from aiogram.enums import ChatType, MessageEntityType
from aiogram.types import Message

from aisha.receive.recording import Recording, recording_of


@dataclass(frozen=True, slots=True)
class Wanted:
    """A recording, and the message that has it."""

    message: Message
    recording: Recording


async def wanted_by(message: Message, bot: Bot) -> dict[str, Wanted] | bool:
    """Return as a filter's result what a message wants transcribed without a command, or False.

    That is its own recording, or one that it mentions the bot about: its own or the one that it replies to.
    """
    if recording := recording_of(message):
        return {"wanted": Wanted(message, recording)}
    if message.chat.type != ChatType.PRIVATE and await _mentions(message, bot):
        wanted = pointed_at(message)
        return {"wanted": wanted} if wanted else False
    return False


def pointed_at(message: Message) -> Wanted | None:
    """Return the recording that a request is about: in the message itself, or in the one that it replies to."""
    for each in (message, message.reply_to_message):
        if each and (recording := recording_of(each, asked=True)):
            return Wanted(each, recording)
    return None


async def _mentions(message: Message, bot: Bot) -> bool:
    text = message.text or message.caption or ""
    entities = message.entities or message.caption_entities or []
    named = [each.extract_from(text) for each in entities if each.type == MessageEntityType.MENTION]
    if not named:
        return False
    return f"@{(await bot.me()).username}".lower() in {name.lower() for name in named}
