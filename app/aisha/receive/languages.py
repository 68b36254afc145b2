"""The language of speech: which ones the workers recognise, which one a chat has chosen, and choosing it.

A group has one language for all: the one that was chosen for it, else the bot's default. In a private chat the default
is the person's own language.
"""

from dataclasses import dataclass
from typing import Any

from aiogram import F, Router
from aiogram.enums import ChatType
from aiogram.exceptions import TelegramAPIError
from aiogram.filters import Command
from aiogram.types import CallbackQuery, Chat, Message, User

from aisha import texts
from aisha.database import chats, outbox, workers
from aisha.database.connect import Connection
from aisha.database.outbox import Offer
from aisha.models.catalogue import LANGUAGES
from aisha.receive.replies import reply
from aisha.receive.rights import Rights
from aisha.settings import Settings

router = Router(name="languages")

PREFIX = "language:"
CALLBACK_SECONDS = 3
NAME_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads the answer: the chat, the interface language and the language of speech."""

    interface: texts.Interface
    language: str

    @property
    def language_name(self) -> str:
        """The language of speech, named in the interface language."""
        return language_name(self.language, self.interface)


async def reader_of(connection: Connection, settings: Settings, chat: Chat, user: User | None) -> Reader:
    """Return a chat's reader: the chosen language, in private else the person's own if known, else the default."""
    chosen = await connection.one(chats.language(chat.id))
    code = user.language_code if user else None
    own = (code or "").split("-")[0].lower()
    if not chosen and chat.type == ChatType.PRIVATE and own in await heard(connection, settings):
        chosen = own
    return Reader(texts.interface(code), chosen or settings.default_language)


async def heard(connection: Connection, settings: Settings) -> list[str]:
    """Return the languages that the workers recognise, in the catalogue's order."""
    codes = await connection.all(workers.languages()) or [settings.default_language]
    return sorted(codes, key=lambda code: (list(LANGUAGES).index(code) if code in LANGUAGES else 99, code))


def language_name(code: str, interface: str) -> str:
    """Return the language's name for a reader; an unknown one keeps its code."""
    language = LANGUAGES.get(code)
    if not language:
        return code
    return language.russian if interface == "ru" else language.english


@router.message(Command("language"))
async def offer_languages(message: Message, connection: Connection, settings: Settings) -> None:
    """Answer /language with a button for each language that the workers recognise."""
    reader = await reader_of(connection, settings, message.chat, message.from_user)
    codes = await heard(connection, settings)
    key = "language" if len(codes) > 1 or codes != [reader.language] else "language_only"
    text = texts.say(key, reader.interface, language=reader.language_name)
    markup = _keyboard(codes, reader.language) if key == "language" else None
    await connection.run(reply(message, text, markup=markup))


@router.callback_query(F.data.startswith(PREFIX))
async def choose_language(
    query: CallbackQuery, connection: Connection, settings: Settings, rights: Rights
) -> None:
    """Remember the language that a button offers, if who pressed it may choose; else say why nothing changes.

    The query is answered before anything is written, since Telegram keeps it for 150 s only.
    """
    interface = texts.interface(query.from_user.language_code)
    code = (query.data or "").removeprefix(PREFIX)
    offer = await _offer(query, connection)
    refusal = await _refusal(query, offer, rights)
    if not refusal and code not in await heard(connection, settings):
        refusal = "language_unknown"
    values = {"language": language_name(code, interface), "name": query.from_user.full_name[:NAME_LENGTH]}
    await answer_callback(query, texts.say(refusal or "language_set", interface, **values))
    if refusal or not offer or not query.message:
        return
    chat = query.message.chat
    key = "language_set" if chat.type == ChatType.PRIVATE else "language_set_by"
    if await connection.run(outbox.accept_offer(offer.id, texts.say(key, interface, **values))):
        await connection.run(chats.choose(chat.id, code))


async def _offer(query: CallbackQuery, connection: Connection) -> Offer | None:
    """Return the offer that was pressed: a message that the bot recorded with this very button."""
    if not query.message:
        return None
    pressed = outbox.offer(query.message.chat.id, query.message.message_id, query.data or "")
    return await connection.one(pressed)


async def _refusal(query: CallbackQuery, offer: Offer | None, rights: Rights) -> str | None:
    """Return why a press changes nothing, or None."""
    if not offer or not query.message or not query.bot:
        return "button_old"
    try:
        return await rights.refusal(query.bot, query.message.chat, query.from_user.id, offer.asked_by)
    except TelegramAPIError:
        return "rights_unknown"


async def answer_callback(query: CallbackQuery, text: str | None = None) -> None:
    """Stop the button's spinner; a query too old to be answered is not an error."""
    try:
        assert query.bot
        await query.bot(query.answer(text), request_timeout=CALLBACK_SECONDS)
    except TelegramAPIError:
        return


def _keyboard(codes: list[str], current: str) -> dict[str, Any]:
    buttons = [
        {
            "text": ("✓ " if code == current else "")
            + (LANGUAGES[code].native if code in LANGUAGES else code),
            "callback_data": PREFIX + code,
        }
        for code in codes
    ]
    return {"inline_keyboard": [buttons[index : index + 2] for index in range(0, len(buttons), 2)]}
