"""Composes what the user reads about a recording and writes it to the outbox."""

from typing import Any

import structlog
from psycopg.types.json import Jsonb

from aisha import texts
from aisha.database.connect import Connection, Pool, notify
from aisha.deliver.split import split
from aisha.settings import Settings

log = structlog.get_logger(__name__)

NEXT_UNANSWERED = """
    SELECT id, chat_id, message_id, interface, outcome, text, complete, audio_seconds
    FROM messages WHERE state = 'transcribed' AND answered_at IS NULL
    ORDER BY transcribed_at LIMIT 1 FOR UPDATE SKIP LOCKED
"""
UPSERT_PART = """
    INSERT INTO outbox (chat_id, message, part, reply_to, text, final)
    VALUES (%(chat_id)s, %(message)s, %(part)s, %(reply_to)s, %(text)s, %(final)s)
    ON CONFLICT (message, part) DO UPDATE
    SET text = excluded.text, final = excluded.final, version = outbox.version + 1, failed_at = NULL
"""


async def write_status(connection: Connection, message: dict[str, Any], text: str) -> None:
    """Write the status message of a recording: its id is recorded early, and an edit makes it the answer."""
    await _write_part(connection, message, 0, text, final=False)


async def compose_all(pool: Pool, settings: Settings) -> None:
    """Write every answer that is ready to the outbox."""
    while await compose_next(pool, settings):
        pass


async def compose_next(pool: Pool, settings: Settings) -> bool:
    """Write the answer to one transcribed message, all its parts or none; return whether there was one."""
    async with pool.connection() as connection, connection.transaction():
        message = await (await connection.execute(NEXT_UNANSWERED)).fetchone()
        if not message:
            return False
        for part, text in enumerate(split(answer(message, settings))):
            await _write_part(connection, message, part, text, final=True)
        await connection.execute("UPDATE messages SET answered_at = now() WHERE id = %s", [message["id"]])
        await notify(connection, "send")
    return True


def answer(message: dict[str, Any], settings: Settings) -> str:
    """Return the whole answer to a recording: its text, or one honest sentence for any other outcome."""
    language = message["interface"]
    if message["outcome"] != "speech":
        known = message["outcome"] in texts.TEXTS  # a newer release may have written another one
        return texts.say(
            message["outcome"] if known else "failed",
            language,
            size=texts.size(settings.file_limit, language),
            duration=texts.duration(settings.max_duration, language),
        )
    if message["complete"]:
        return str(message["text"])
    warning = texts.say(
        "incomplete", language, duration=texts.duration(message["audio_seconds"] or 0, language)
    )
    return f"{message['text']}\n\n{warning}"


async def reply(
    connection: Connection,
    chat_id: int,
    text: str,
    *,
    reply_to: int | None = None,
    markup: dict[str, Any] | None = None,
) -> None:
    """Write a message that belongs to no recording, such as the answer to a command."""
    await connection.execute(
        "INSERT INTO outbox (chat_id, reply_to, text, markup) VALUES (%s, %s, %s, %s)",
        [chat_id, reply_to, text, Jsonb(markup) if markup else None],
    )


async def _write_part(
    connection: Connection, message: dict[str, Any], part: int, text: str, *, final: bool
) -> None:
    await connection.execute(
        UPSERT_PART,
        {
            "chat_id": message["chat_id"],
            "message": message["id"],
            "part": part,
            "reply_to": message["message_id"],
            "text": text,
            "final": final,
        },
    )
