"""Accepts recordings: one row in `messages` each, with a status message, and the answer at once where it is known."""

import structlog
from aiogram import Router
from aiogram.filters import Command
from aiogram.types import Message

from aisha import texts
from aisha.database import messages, outbox
from aisha.database.connect import Connection
from aisha.outcomes import Outcome
from aisha.receive.asking import Wanted, pointed_at, wanted_by
from aisha.receive.languages import Reader, reader_of
from aisha.receive.recording import Recording
from aisha.receive.replies import reply, topic_of
from aisha.settings import Settings

router = Router(name="recordings")
log = structlog.get_logger(__name__)


@router.message(wanted_by)
async def accept_recording(
    message: Message, wanted: Wanted, connection: Connection, settings: Settings, update_id: int
) -> None:
    """Write the recording's row, and its result if that is known at once, else its status message."""
    await _accept(message, wanted, connection, settings, update_id)


@router.message(Command("transcribe"))
async def transcribe(message: Message, connection: Connection, settings: Settings, update_id: int) -> None:
    """Accept the recording that a command is about; say so where there is none, or where it was accepted before."""
    wanted = pointed_at(message)
    if wanted and await _accept(message, wanted, connection, settings, update_id):
        return
    interface = texts.interface(message.from_user.language_code if message.from_user else None)
    text = texts.say("transcribed_before" if wanted else "transcribe_what", interface)
    await connection.run(reply(message, text, quote=True))


async def _accept(
    asking: Message, wanted: Wanted, connection: Connection, settings: Settings, update_id: int
) -> bool:
    """Accept a recording for who asks for it; return whether it is new."""
    message, recording = wanted.message, wanted.recording
    reader = await reader_of(connection, settings, asking.chat, asking.from_user)
    accepted = await connection.one(messages.accept(_received(asking, wanted, reader, update_id)))
    if accepted is None:
        log.info("this message was accepted before", chat_id=message.chat.id, message_id=message.message_id)
        return False
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
        status = texts.say(_standing(await connection.only(messages.place(accepted))), reader.interface)
        await connection.run(outbox.write_status(accepted, message.chat.id, message.message_id, status))
    return True


def _standing(place: messages.Place) -> str:
    """Return the situation of a recording that was accepted just now; its place in figures is told later."""
    if place.after_own:
        return "behind"
    return "queued" if place.after_others else "working"


def refusal_of(recording: Recording, settings: Settings) -> Outcome | None:
    """Return the outcome of a recording that need not be fetched, or None."""
    if recording.size == 0:
        return "empty"
    if recording.size and recording.size > settings.file_limit:
        return "too_large"
    if recording.seconds and recording.seconds > settings.max_duration:
        return "too_long"
    return None


def _received(asking: Message, wanted: Wanted, reader: Reader, update_id: int) -> messages.Received:
    message, recording = wanted.message, wanted.recording
    return messages.Received(
        update_id=update_id,
        chat_id=message.chat.id,
        message_id=message.message_id,
        user_id=asking.from_user.id if asking.from_user else asking.chat.id,
        kind=recording.kind,
        file_id=recording.file_id,
        file_unique_id=recording.file_unique_id,
        file_name=recording.name,
        file_size=recording.size,
        declared_seconds=recording.seconds,
        language=reader.language,
        interface=reader.interface,
        thread_id=topic_of(asking),
    )
