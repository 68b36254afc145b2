"""/privacy: what is kept; /forget: everything of who asks is deleted, once that was confirmed."""

from typing import Any

from aiogram import F, Router
from aiogram.filters import Command
from aiogram.types import CallbackQuery, Message

from aisha import texts
from aisha.database import erasures, outbox
from aisha.database.connect import Connection
from aisha.erasing import cancel
from aisha.receive.languages import answer_callback
from aisha.receive.replies import reply
from aisha.settings import Settings

router = Router(name="privacy")

YES, NO = "forget:yes:", "forget:no:"


@router.message(Command("privacy"))
async def explain(message: Message, connection: Connection, settings: Settings) -> None:
    """Say what is kept, where and for how long; then what the operator says."""
    reader = texts.interface(message.from_user.language_code if message.from_user else None)
    text = texts.say("privacy", reader, days=texts.days(settings.keep_days, reader))
    if settings.privacy_notice:
        text += f"\n\n{settings.privacy_notice}"
    await connection.run(reply(message, text, quote=True))


@router.message(Command("forget"))
async def ask(message: Message, connection: Connection) -> None:
    """Ask once more; who writes as a channel or a group cannot be told from its other members."""
    person = None if message.sender_chat else message.from_user
    reader = texts.interface(message.from_user.language_code if message.from_user else None)
    text = texts.say("forget" if person else "forget_anonymous", reader)
    markup = _keyboard(person.id, reader) if person else None
    await connection.run(reply(message, text, quote=True, markup=markup))


@router.callback_query(F.data.startswith(YES) | F.data.startswith(NO))
async def confirmed(query: CallbackQuery, connection: Connection, update_id: int) -> None:
    """Cancel what is under way and leave the rest to the eraser, or change nothing."""
    reader, data = texts.interface(query.from_user.language_code), query.data or ""
    if data.rpartition(":")[2] != str(query.from_user.id):
        await answer_callback(query, texts.say("forget_not_yours", reader))
        return
    notice = await _asked(query, connection, data)
    key = "forget_again" if notice is None else "forgetting" if data.startswith(YES) else "not_forgotten"
    await answer_callback(query, texts.say(key, reader))
    if notice is None:
        return
    await connection.run(outbox.announce(notice, texts.say(key, reader)))
    if data.startswith(YES):
        erasure = await connection.only(erasures.add(query.from_user.id, update_id, reader, notice))
        await cancel(connection, erasure)


async def _asked(query: CallbackQuery, connection: Connection, data: str) -> int | None:
    """Return the row of the question that this button belongs to, if it is still open."""
    if not query.message:
        return None
    offer = await connection.one(outbox.offer(query.message.chat.id, query.message.message_id, data))
    return offer.id if offer else None


def _keyboard(person: int, reader: texts.Interface) -> dict[str, Any]:
    answers = (("forget_yes", YES), ("forget_no", NO))
    buttons = [{"text": texts.say(key, reader), "callback_data": f"{data}{person}"} for key, data in answers]
    return {"inline_keyboard": [buttons]}
