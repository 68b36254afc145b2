"""People in chats, the bot's handling and sending on a real database, and Telegram as far as it is needed."""

import asyncio
import itertools
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from aiogram import Bot, Dispatcher
from aiogram.client.session.base import BaseSession
from aiogram.exceptions import TelegramBadRequest, TelegramForbiddenError
from aiogram.methods import EditMessageText, GetMe, SendMessage
from aiogram.methods.base import TelegramMethod
from aiogram.types import Message, User
from psycopg import AsyncConnection

from aisha.bot import dispatcher
from aisha.database import messages
from aisha.database.connect import Pool, Wakeups
from aisha.deliver.answer import compose_all
from aisha.deliver.sender import Sender
from aisha.receive.inbox import Handler, commit
from aisha.receive.rights import GetRawAdministrators, GetRawMember, Rights
from aisha.settings import Settings

BOT = {"id": 42, "is_bot": True, "first_name": "Aisha", "username": "aisha_bot"}
FILE = {"file_id": "f", "duration": 3}


class Telegram(BaseSession):
    """Shows what is sent, tells who administers, and refuses where it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: dict[tuple[int, int], dict[str, Any]] = {}
        self.calls: list[TelegramMethod[Any]] = []
        self.answers: list[str | None] = []
        self.administrators: set[int] | None = set()
        self.barred: dict[int, str] = {}
        self._ids = itertools.count(1000)

    async def make_request(self, bot: Bot, method: TelegramMethod[Any], timeout: int | None = None) -> Any:
        self.calls.append(method)
        if isinstance(method, GetMe):
            return User.model_validate(BOT)
        if isinstance(method, GetRawMember | GetRawAdministrators):
            return self._members(method)
        if isinstance(method, SendMessage | EditMessageText):
            return self._show(method)
        self.answers.append(getattr(method, "text", None))
        return True

    def _members(self, method: GetRawMember | GetRawAdministrators) -> Any:
        if self.administrators is None:
            raise TelegramBadRequest(method, "Bad Request: member list is inaccessible")
        if isinstance(method, GetRawAdministrators):
            return [_member(each, administers=True) for each in self.administrators]
        return _member(method.user_id, administers=method.user_id in self.administrators)

    def _show(self, method: SendMessage | EditMessageText) -> Message | bool:
        chat = int(method.chat_id or 0)
        if reason := self.barred.get(chat):
            error = TelegramForbiddenError if reason.startswith("Forbidden") else TelegramBadRequest
            raise error(method, reason)
        number = next(self._ids) if isinstance(method, SendMessage) else int(method.message_id or 0)
        before = self.shown.get((chat, number), {})
        self.shown[chat, number] = {**before, "reply_markup": None} | method.model_dump(
            exclude_none=True, exclude={"parse_mode", "link_preview_options"}, exclude_unset=True
        )
        return Message.model_validate(
            {"message_id": number, "date": 0, "chat": {"id": chat, "type": "private"}, "text": method.text}
        )

    async def stream_content(self, *_: Any, **__: Any) -> AsyncGenerator[bytes, None]:
        raise NotImplementedError
        yield b""

    async def close(self) -> None:
        """Nothing is open."""


def _member(user_id: int, *, administers: bool) -> dict[str, Any]:
    return {"status": "administrator" if administers else "member", "user": person(user_id)}


@dataclass
class People:
    """What people do, one thing after the other, each handled and answered before the next."""

    pool: Pool
    settings: Settings
    telegram: Telegram = field(default_factory=Telegram)
    ids: Any = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        wakeups = Wakeups("", ("handle", "store", "dispatch", "answer", "send", "lease"))
        bot = Bot("42:token", session=self.telegram)
        router = _dispatcher(self.settings)
        router["rights"] = Rights()
        self._handler = Handler(bot, router, self.pool, wakeups)
        self._sender = Sender(bot, self.pool, wakeups, _always)

    async def writes(self, chat: int, user: int, language: str = "en", **content: Any) -> int:
        """Write a message, a text or whatever is given, and return its id."""
        number = next(self.ids)
        await self.happens(message=message(number, chat, user, language, **content))
        return number

    async def presses(self, chat: int, sent_id: int, user: int, data: str) -> str | None:
        """Press a button, or pretend to, and return what is shown to who pressed."""
        query = {
            "id": "1",
            "from": person(user),
            "chat_instance": "1",
            "data": data,
            "message": message(sent_id, chat, BOT["id"]),  # type: ignore[arg-type]
        }
        await self.happens(callback_query=query)
        return self.telegram.answers[-1]

    async def changes_bot(self, chat: int, user: int, status: str) -> None:
        """Block, remove or let in the bot."""
        kicked = {"status": "kicked", "user": BOT, "until_date": 0}
        change = {
            "chat": where(chat),
            "from": person(user),
            "date": 0,
            "old_chat_member": kicked if status == "member" else {"status": "member", "user": BOT},
            "new_chat_member": kicked if status == "kicked" else {"status": status, "user": BOT},
        }
        await self.happens(my_chat_member=change)

    async def happens(self, **update: Any) -> None:
        """Handle an update, and show what follows."""
        await commit(self.pool, [{"update_id": next(self.ids), **update}], source="test")
        await self._handler.step()
        await self.shows()

    async def hears(self, chat: int, number: int, text: str = "hello", outcome: Any = "speech") -> None:
        """Let a recording be transcribed, and show the answer."""
        async with self.pool.connection() as connection:
            [row] = await self.rows(
                "SELECT id FROM messages WHERE chat_id = %s AND message_id = %s", chat, number
            )
            await connection.run(messages.stored(row["id"], "key", 1))
            await connection.run(messages.transcribed(row["id"], outcome, text=text, seconds=3))
        await compose_all(self.pool, self.settings)
        await self.shows()

    async def shows(self) -> None:
        """Send what is due."""
        while True:
            await self._sender.step()
            if not self._sender._chats:
                return
            await asyncio.gather(*self._sender._chats.values())

    async def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Ask the database."""
        async with self.pool.connection() as connection:
            assert isinstance(connection, AsyncConnection)
            cursor = await connection.execute(query, values)
            return await cursor.fetchall() if cursor.description else []

    def said(self, chat: int) -> list[str]:
        """Return the texts that a chat shows."""
        return [each["text"] for (where, _), each in self.telegram.shown.items() if where == chat]

    def last(self, chat: int) -> tuple[int, dict[str, Any]]:
        """Return the id of the newest message in a chat, and the message."""
        number = max(number for where, number in self.telegram.shown if where == chat)
        return number, self.telegram.shown[chat, number]


def person(user: int, language: str = "en") -> dict[str, Any]:
    """Return a User."""
    return {
        "id": user,
        "is_bot": user == BOT["id"],
        "first_name": f"Person {user}",
        "language_code": language,
    }


def where(chat: int) -> dict[str, Any]:
    """Return a Chat."""
    return {"id": chat, "type": "private" if chat > 0 else "supergroup", "title": "Group"}


def message(number: int, chat: int, user: int, language: str = "en", **content: Any) -> dict[str, Any]:
    """Return a Message."""
    if "text" in content and content["text"].startswith("/"):
        length = len(content["text"].split()[0])
        content["entities"] = [{"type": "bot_command", "offset": 0, "length": length}]
    return {"message_id": number, "date": 0, "chat": where(chat), "from": person(user, language), **content}


def voice(number: int) -> dict[str, Any]:
    """Return a voice message's content, another file for each number."""
    return {"voice": {**FILE, "file_unique_id": f"u{number}"}}


@cache
def _dispatcher(settings: Settings) -> Dispatcher:
    """Return the one dispatcher of this process, since routers are modules' own."""
    return dispatcher(settings)


async def _always() -> bool:
    return True
