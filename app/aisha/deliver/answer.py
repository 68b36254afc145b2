"""Composes what the user reads about a recording and writes it to the outbox."""

from aisha import texts
from aisha.database import messages, outbox
from aisha.database.connect import Pool
from aisha.database.messages import Transcribed
from aisha.deliver.split import split
from aisha.settings import Settings

OF_ONE_TRACK = ("speech", "no_speech")
"""Outcomes that say nothing about a recording's other audio tracks; a silent one is silent in all."""


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
    """Return the whole answer to a recording: its text or one honest sentence, and what else its reader must know."""
    language = message.interface
    parts = [str(message.text) if message.outcome == "speech" else _outcome(message, settings)]
    if message.outcome == "speech" and not message.complete:
        duration = texts.duration(message.audio_seconds or 0, language)
        parts.append(texts.say("incomplete", language, duration=duration))
    if message.tracks and message.outcome in OF_ONE_TRACK:
        parts.append(texts.say("other_tracks", language, track=message.track, tracks=message.tracks))
    return "\n\n".join(parts)


def _outcome(message: Transcribed, settings: Settings) -> str:
    return texts.about(
        message.outcome,
        message.kind,
        message.interface,
        size=texts.size(settings.file_limit, message.interface),
        duration=texts.duration(settings.max_duration, message.interface),
    )
