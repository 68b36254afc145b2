"""Everything that is neither a recording nor a command: a hint in private chats, silence in groups."""

import structlog
from aiogram import F, Router
from aiogram.enums import ChatType, ContentType
from aiogram.types import CallbackQuery, ChatMemberUpdated, Message

from aisha import texts
from aisha.database.connect import Connection
from aisha.receive.languages import answer_callback
from aisha.receive.replies import reply

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
    """Say what to send instead; about a file as a reply to it."""
    interface = texts.interface(message.from_user.language_code if message.from_user else None)
    is_file = bool(message.document and not message.animation)
    text = texts.say("not_media" if is_file else "send_recording", interface)
    await connection.run(reply(message, text, quote=is_file))


@router.edited_message()
async def edited(message: Message) -> None:
    """Do nothing: an edit changes a caption, and the recording was answered when it came."""
    log.info("an edited message needs no new answer", chat_id=message.chat.id, message_id=message.message_id)


@router.my_chat_member()
async def membership(event: ChatMemberUpdated) -> None:
    """Do nothing more: what waits for a chat that let the bot in is due already."""
    log.info("membership changed", chat_id=event.chat.id, status=event.new_chat_member.status)


@router.callback_query()
async def unknown_button(query: CallbackQuery) -> None:
    """Say that a button is no longer known."""
    interface = texts.interface(query.from_user.language_code)
    await answer_callback(query, texts.say("button_old", interface))


@router.message()
async def service_message(message: Message) -> None:
    """Somebody joined, a title changed, a group was talking: nothing to answer."""
    log.debug("message without a recording", content_type=message.content_type)
