"""Clients of a served sandbox: the control API's, and aiogram's."""

from typing import Any

import aiohttp
from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer


class Control:
    """What a person or a test does, over HTTP."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url = f"{url}/sandbox/api"
        self.http = http

    async def ask(self, verb: str, path: str, /, **body: Any) -> Any:
        async with self.http.request(verb, self.url + path, json=body) as response:
            return (
                await response.json() | {"status": response.status}
                if response.status >= 400
                else await response.json()
            )

    async def say(self, chat_id: int, text: str = "", /, **fields: Any) -> Any:
        return await self.ask(
            "POST", f"/chats/{chat_id}/messages", **({"text": text} if text else {}), **fields
        )

    async def user(self, **fields: Any) -> int:
        return (await self.ask("POST", "/users", **({"first_name": "Ann"} | fields)))["id"]


def bot_of(url: str, token: str) -> Bot:
    return Bot(token, AiohttpSession(api=TelegramAPIServer.from_base(url)))
