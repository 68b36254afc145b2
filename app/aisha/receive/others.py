"""Everything that is neither a recording nor a command: a hint in private chats, silence in groups."""

import structlog
from aiogram import F, Router
from aiogram.enums import ChatType, ContentType
from aiogram.types import CallbackQuery, Message

from aisha import texts
from aisha.database import outbox
from aisha.database.connect import Connection
from aisha.receive.languages import answer_callback

router = Router(name="others")
log = structlog.get_logger(__name__)

SENT_BY_PEOPLE = {
    ContentType.TEXT,
    ContentType.PHOTO,
    ContentType.STICKER,
    ContentType.DOCUMENT,
    ContentType.ANIMATION,
    ContentType.LOCATION,
    ContentType.CONTACT,
    ContentType.POLL,
    ContentType.STORY,
    ContentType.VENUE,
    ContentType.DICE,
    ContentType.PAID_MEDIA,
    ContentType.UNKNOWN,
}


@router.message(F.chat.type == ChatType.PRIVATE, F.content_type.in_(SENT_BY_PEOPLE))
async def hint(message: Message, connection: Connection) -> None:
    """Say what to send instead."""
    interface = texts.interface(message.from_user.language_code if message.from_user else None)
    key = "not_media" if message.document and not message.animation else "send_recording"
    await connection.run(outbox.reply(message.chat.id, texts.say(key, interface)))


@router.edited_message()
async def edited(message: Message) -> None:
    """Do nothing: an edit changes a caption, and the recording was answered when it came."""
    log.info("an edited message needs no new answer", chat_id=message.chat.id, message_id=message.message_id)


@router.callback_query()
async def unknown_button(query: CallbackQuery) -> None:
    """Stop the spinner of a button that is no longer known."""
    await answer_callback(query)


@router.message()
async def service_message(message: Message) -> None:
    """Somebody joined, a title changed, a group was talking: nothing to answer."""
    log.debug("message without a recording", content_type=message.content_type)
