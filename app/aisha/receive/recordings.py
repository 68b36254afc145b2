"""Accepts recordings: one row in `messages` each, with a status message, and the answer at once where it is known."""

import structlog
from aiogram import Router
from aiogram.types import Message

from aisha import texts
from aisha.database import messages, outbox
from aisha.database.connect import Connection
from aisha.outcomes import Outcome
from aisha.receive.languages import Reader, reader_of
from aisha.receive.recording import Recording, recording_of
from aisha.settings import Settings

router = Router(name="recordings")
log = structlog.get_logger(__name__)


@router.message(lambda message: recording_of(message) is not None)
async def accept_recording(
    message: Message, connection: Connection, settings: Settings, update_id: int
) -> None:
    """Write the recording's row, and its result if that is known at once, else its status message."""
    recording = recording_of(message)
    assert recording
    reader = await reader_of(connection, settings, message.chat, message.from_user)
    accepted = await connection.one(messages.accept(_received(message, recording, reader, update_id)))
    if accepted is None:
        log.info("this message was accepted before", chat_id=message.chat.id, message_id=message.message_id)
        return
    log.info(
        "received", message=accepted, kind=recording.kind, seconds=recording.seconds, bytes=recording.size
    )
    if refusal := refusal_of(recording, settings):
        error = "refused before it was fetched"
        log.info("refused", message=accepted, outcome=refusal, error=error)
        await connection.run(messages.refuse(accepted, refusal, error))
    elif await connection.run(
        messages.copy_known(accepted, reader.language, file_unique_id=recording.file_unique_id)
    ):
        log.info("answered from the database", message=accepted)
    else:
        status = texts.waiting(await connection.only(messages.ahead(accepted)), reader.interface)
        await connection.run(outbox.write_status(accepted, message.chat.id, message.message_id, status))


def refusal_of(recording: Recording, settings: Settings) -> Outcome | None:
    """Return the outcome of a recording that need not be fetched, or None."""
    if recording.size == 0:
        return "empty"
    if recording.size and recording.size > settings.file_limit:
        return "too_large"
    if recording.seconds and recording.seconds > settings.max_duration:
        return "too_long"
    return None


def _received(message: Message, recording: Recording, reader: Reader, update_id: int) -> messages.Received:
    return messages.Received(
        update_id=update_id,
        chat_id=message.chat.id,
        message_id=message.message_id,
        user_id=message.from_user.id if message.from_user else message.chat.id,
        kind=recording.kind,
        file_id=recording.file_id,
        file_unique_id=recording.file_unique_id,
        file_name=recording.name,
        file_size=recording.size,
        declared_seconds=recording.seconds,
        language=reader.language,
        interface=reader.interface,
    )
