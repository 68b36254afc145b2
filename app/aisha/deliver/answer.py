"""Composes what the user reads about a recording and writes it to the outbox."""

from aisha import texts
from aisha.database import messages, outbox
from aisha.database.connect import Pool
from aisha.database.messages import Transcribed
from aisha.deliver.split import split
from aisha.settings import Settings


async def compose_all(pool: Pool, settings: Settings) -> None:
    """Write every answer that is ready to the outbox."""
    while await compose_next(pool, settings):
        pass


async def compose_next(pool: Pool, settings: Settings) -> bool:
    """Write the answer to one transcribed message, all its parts or none; return whether there was one."""
    async with pool.connection() as connection, connection.transaction():
        message = await connection.one(messages.next_unanswered())
        if not message:
            return False
        for part, text in enumerate(split(answer(message, settings))):
            await connection.run(
                outbox.write_answer(message.id, message.chat_id, message.message_id, part, text)
            )
        await connection.run(messages.answered(message.id))
    return True


def answer(message: Transcribed, settings: Settings) -> str:
    """Return the whole answer to a recording: its text, or one honest sentence for any other outcome."""
    language = message.interface
    if message.outcome != "speech":
        return texts.about(
            message.outcome,
            message.kind,
            language,
            size=texts.size(settings.file_limit, language),
            duration=texts.duration(settings.max_duration, language),
        )
    if message.complete:
        return str(message.text)
    warning = texts.say("incomplete", language, duration=texts.duration(message.audio_seconds or 0, language))
    return f"{message.text}\n\n{warning}"
