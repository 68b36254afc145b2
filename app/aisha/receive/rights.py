"""Who may choose for a group."""

import time
from typing import Any

from aiogram import Bot
from aiogram.enums import ChatMemberStatus, ChatType
from aiogram.exceptions import TelegramBadRequest, TelegramForbiddenError, TelegramNotFound
from aiogram.methods.base import TelegramMethod
from aiogram.types import Chat

ADMINISTRATORS = {ChatMemberStatus.CREATOR, ChatMemberStatus.ADMINISTRATOR}
NO_ANSWER = (TelegramBadRequest, TelegramForbiddenError, TelegramNotFound)
ASK_SECONDS = 3
KNOWN_SECONDS = 60


class GetRawMember(TelegramMethod[dict[str, Any]]):
    """getChatMember without a model, which would refuse a member with one right more or less than it knows."""

    __returning__ = dict[str, Any]
    __api_method__ = "getChatMember"

    chat_id: int
    user_id: int


class GetRawAdministrators(TelegramMethod[list[dict[str, Any]]]):
    """getChatAdministrators without a model."""

    __returning__ = list[dict[str, Any]]
    __api_method__ = "getChatAdministrators"

    chat_id: int


class Rights:
    """Knows for a minute who administers a group, so that nobody makes the bot ask again with every press."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[float, bool | None]] = {}

    async def refusal(self, bot: Bot, chat: Chat, user_id: int, asked_by: int | None) -> str | None:
        """Return why a user may not choose for a chat, as a key of `texts`, or None.

        Administrators may; where Telegram names none, who asked.

        Raises:
            TelegramAPIError: Telegram does not answer now.
        """
        if chat.type == ChatType.PRIVATE:
            return None
        administers = await self._administers(bot, chat.id, user_id)
        if administers is None:
            return None if user_id == asked_by else "not_yours"
        return None if administers else "not_administrator"

    async def _administers(self, bot: Bot, chat_id: int, user_id: int) -> bool | None:
        now = time.monotonic()
        self._known = {key: known for key, known in self._known.items() if known[0] > now}
        if (chat_id, user_id) not in self._known:
            self._known[chat_id, user_id] = now + KNOWN_SECONDS, await _ask(bot, chat_id, user_id)
        return self._known[chat_id, user_id][1]


async def _ask(bot: Bot, chat_id: int, user_id: int) -> bool | None:
    """Ask for the one member, which needs rights in some groups, else for the list; None where neither is told."""
    try:
        member = await bot(GetRawMember(chat_id=chat_id, user_id=user_id), request_timeout=ASK_SECONDS)
        return member["status"] in ADMINISTRATORS
    except NO_ANSWER:
        pass
    try:
        listed = await bot(GetRawAdministrators(chat_id=chat_id), request_timeout=ASK_SECONDS)
        return user_id in {member["user"]["id"] for member in listed}
    except NO_ANSWER:
        return None
