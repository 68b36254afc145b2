"""/start and /help."""

from aiogram import Router
from aiogram.filters import Command, CommandStart
from aiogram.types import Message

from aisha import texts
from aisha.database.connect import Connection
from aisha.receive.languages import reader_of
from aisha.receive.replies import reply
from aisha.settings import Settings

router = Router(name="commands")


@router.message(CommandStart())
async def start(message: Message, connection: Connection, settings: Settings) -> None:
    """Say hello and what to do."""
    await _explain("start", message, connection, settings)


@router.message(Command("help"))
async def explain(message: Message, connection: Connection, settings: Settings) -> None:
    """Say what is accepted and which commands there are."""
    await _explain("help", message, connection, settings)


async def _explain(key: str, message: Message, connection: Connection, settings: Settings) -> None:
    reader = await reader_of(connection, settings, message.chat, message.from_user)
    text = texts.say(
        key,
        reader.interface,
        language=reader.language_name,
        size=texts.size(settings.file_limit, reader.interface),
        duration=texts.duration(settings.max_duration, reader.interface),
    )
    await connection.run(reply(message, text))
