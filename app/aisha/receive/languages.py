"""The language of speech: which ones the workers recognise, which one a chat has chosen, and choosing it."""

from dataclasses import dataclass
from typing import Any

from aiogram import F, Router
from aiogram.exceptions import TelegramAPIError
from aiogram.filters import Command
from aiogram.types import CallbackQuery, Chat, Message, User

from aisha import texts
from aisha.database import chats, outbox, workers
from aisha.database.connect import Connection
from aisha.models.catalogue import LANGUAGES
from aisha.settings import Settings

router = Router(name="languages")

PREFIX = "language:"
CALLBACK_SECONDS = 3


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
    """Return a chat's reader: the chosen language, else the user's own if the workers know it, else the default."""
    chosen = await connection.one(chats.language(chat.id))
    code = user.language_code if user else None
    own = (code or "").split("-")[0].lower()
    if not chosen:
        chosen = own if own in await heard(connection, settings) else settings.default_language
    return Reader(texts.interface(code), chosen)


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
    await connection.run(outbox.reply(message.chat.id, text, markup=markup))


@router.callback_query(F.data.startswith(PREFIX))
async def choose_language(query: CallbackQuery, connection: Connection, settings: Settings) -> None:
    """Remember the chosen language; the callback is answered first, since Telegram keeps it for 150 s only."""
    interface = texts.interface(query.from_user.language_code)
    code = (query.data or "").removeprefix(PREFIX)
    known = code in await heard(connection, settings)
    key = "language_set" if known else "language_unknown"
    text = texts.say(key, interface, language=language_name(code, interface))
    await answer_callback(query, text)
    if not query.message or not known:
        return
    chat_id = query.message.chat.id
    await connection.run(chats.choose(chat_id, code))
    await connection.run(outbox.replace_buttons(chat_id, query.message.message_id, text))


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
