"""Accepts recordings: one row in `messages` each, with a status message, and the answer at once where it is known."""

from typing import Any

import structlog
from aiogram import Router
from aiogram.types import Message

from aisha.database.connect import Connection, notify
from aisha.deliver.answer import write_status
from aisha.deliver.status import before
from aisha.outcomes import Outcome
from aisha.receive.languages import Reader, reader_of
from aisha.receive.recording import Recording, recording_of
from aisha.settings import Settings

router = Router(name="recordings")
log = structlog.get_logger(__name__)

ACCEPT = """
    INSERT INTO messages (update_id, chat_id, message_id, user_id, kind, file_id, file_unique_id, file_name,
                          file_size, declared_seconds, language, interface)
    VALUES (%(update_id)s, %(chat_id)s, %(message_id)s, %(user_id)s, %(kind)s, %(file_id)s, %(file_unique_id)s,
            %(name)s, %(size)s, %(seconds)s, %(language)s, %(interface)s)
    ON CONFLICT (chat_id, message_id) DO NOTHING
    RETURNING id, chat_id, message_id, interface
"""
AHEAD = "SELECT count(*) AS ahead FROM messages WHERE state IN ('received', 'stored') AND id < %s"
COPY_KNOWN = """
    UPDATE messages SET state = 'transcribed', transcribed_at = now(), outcome = known.outcome, text = known.text,
        words = known.words, audio_seconds = known.audio_seconds, complete = known.complete,
        object_key = known.object_key
    FROM (SELECT * FROM messages WHERE {same} AND language = %(language)s AND id <> %(id)s
          AND outcome IN ('speech', 'silence', 'no_speech', 'too_short', 'unreadable', 'no_sound', 'empty')
          ORDER BY id DESC LIMIT 1) AS known
    WHERE messages.id = %(id)s AND messages.state = 'received' RETURNING messages.id
"""
SAME_FILE = "file_unique_id = %(file_unique_id)s"
SAME_CONTENT = "object_key = %(object_key)s"
REFUSE = """
    UPDATE messages SET state = 'transcribed', transcribed_at = now(), outcome = %s, error = %s
    WHERE id = %s AND state IN ('received', 'stored', 'transcribing')
"""


@router.message(lambda message: recording_of(message) is not None)
async def accept_recording(
    message: Message, connection: Connection, settings: Settings, update_id: int
) -> None:
    """Write the recording's row, its status message, and what can be said at once."""
    recording = recording_of(message)
    assert recording
    reader = await reader_of(connection, settings, message.chat, message.from_user)
    row = await _insert(connection, message, recording, reader, update_id)
    if not row:
        log.info("this message was accepted before", chat_id=message.chat.id, message_id=message.message_id)
        return
    log.info(
        "received", message=row["id"], kind=recording.kind, seconds=recording.seconds, bytes=recording.size
    )
    if refusal := refusal_of(recording, settings):
        await refuse(connection, row["id"], refusal, "refused before it was fetched")
    elif not await answer_known(
        connection, row["id"], reader.language, file_unique_id=recording.file_unique_id
    ):
        ahead = await (await connection.execute(AHEAD, [row["id"]])).fetchone()
        await write_status(connection, row, before(ahead["ahead"] if ahead else 0, row["interface"]))


def refusal_of(recording: Recording, settings: Settings) -> Outcome | None:
    """Return the outcome of a recording that need not be fetched, or None."""
    if recording.size == 0:
        return "empty"
    if recording.size and recording.size > settings.file_limit:
        return "too_large"
    if recording.seconds and recording.seconds > settings.max_duration:
        return "too_long"
    return None


async def refuse(connection: Connection, message: int, outcome: Outcome, error: str) -> None:
    """End a message with an outcome other than its text; `error` is for the operator."""
    log.info("refused", message=message, outcome=outcome, error=error)
    await connection.execute(REFUSE, [outcome, error, message])
    await notify(connection, "answer")


async def answer_known(
    connection: Connection,
    message: int,
    language: str,
    *,
    file_unique_id: str | None = None,
    object_key: str | None = None,
) -> bool:
    """Give the message the result of the same file or the same content in the same language, if there is one."""
    query = COPY_KNOWN.format(same=SAME_FILE if file_unique_id else SAME_CONTENT)
    values = {"id": message, "language": language, "file_unique_id": file_unique_id, "object_key": object_key}
    known = await (await connection.execute(query, values)).fetchone()
    if known:
        log.info("answered from the database", message=message)
        await notify(connection, "answer")
    return known is not None


async def _insert(
    connection: Connection, message: Message, recording: Recording, reader: Reader, update_id: int
) -> dict[str, Any] | None:
    return await (
        await connection.execute(
            ACCEPT,
            {
                "update_id": update_id,
                "chat_id": message.chat.id,
                "message_id": message.message_id,
                "user_id": message.from_user.id if message.from_user else message.chat.id,
                "kind": recording.kind,
                "file_id": recording.file_id,
                "file_unique_id": recording.file_unique_id,
                "name": recording.name,
                "size": recording.size,
                "seconds": recording.seconds,
                "language": reader.language,
                "interface": reader.interface,
            },
        )
    ).fetchone()
