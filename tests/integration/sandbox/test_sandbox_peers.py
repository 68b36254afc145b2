"""Bots on other machines reach the sandbox's Bot API, and nothing else of it."""

from pathlib import Path

import aiohttp
import pytest

from aisha.errors import ServiceError
from aisha_sandbox.server import Sandbox

PEER = "127.0.0.2"
"""An address of this machine that is not the one of the web chat."""


async def test_another_machine_reaches_the_bot_api_and_not_the_chat(tmp_path: Path) -> None:
    async with Sandbox.open(tmp_path, bot_api_address=PEER) as sandbox, aiohttp.ClientSession() as client:
        address = sandbox.url.replace("127.0.0.1", PEER)
        async with client.get(f"{address}/bot{sandbox.token}/getMe") as answer:
            assert (await answer.json())["ok"]
        for path in ("/", "/sandbox/chats", "/static/chat.js"):
            async with client.get(f"{address}{path}") as answer:
                assert answer.status == 403, path
        async with client.get(f"{address}/bot{sandbox.token}/getMe", headers={"Host": "evil.test"}) as answer:
            assert answer.status == 403
        async with client.get(f"{sandbox.url}/") as answer:
            assert answer.status == 200


async def test_without_that_no_other_address_answers(tmp_path: Path) -> None:
    async with Sandbox.open(tmp_path) as sandbox, aiohttp.ClientSession() as client:
        with pytest.raises(aiohttp.ClientConnectorError):
            await client.get(sandbox.url.replace("127.0.0.1", PEER))


async def test_an_address_that_is_not_ours_is_named(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match=r"of 203\.0\.113\.1 cannot be used"):
        async with Sandbox.open(tmp_path, bot_api_address="203.0.113.1"):
            pass
