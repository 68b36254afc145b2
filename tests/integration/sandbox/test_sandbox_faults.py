import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

import aiohttp
import pytest
from aiogram import Bot
from aiogram.exceptions import (
    TelegramForbiddenError,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
)
from tests.integration.sandbox.client import Control, bot_of

from aisha_sandbox.server import Sandbox


async def texts(control: Control, chat_id: int) -> list[str]:
    return [
        view["message"]["text"]
        for view in (await control.ask("GET", f"/chats/{chat_id}/messages"))["messages"]
    ]


async def test_429_names_the_seconds_and_strikes_as_often_as_asked(
    bot: Bot, control: Control, ann: int
) -> None:
    await control.ask("POST", "/faults", method="sendMessage", kind="error", code=429, retry_after=7, times=2)
    for _ in range(2):
        with pytest.raises(TelegramRetryAfter) as caught:
            await bot.send_message(ann, "x")
        assert caught.value.retry_after == 7
    assert await bot.send_message(ann, "x")


async def test_a_fault_may_concern_one_chat_only(bot: Bot, control: Control, ann: int) -> None:
    ben = await control.user(first_name="Ben")
    await control.ask("POST", "/faults", method="sendMessage", kind="error", code=403, chat_id=ann)
    assert await bot.send_message(ben, "x")
    with pytest.raises(TelegramForbiddenError):
        await bot.send_message(ann, "x")


async def test_a_call_dropped_before_has_no_effect_and_one_dropped_after_has(
    bot: Bot, control: Control, ann: int
) -> None:
    await control.ask("POST", "/faults", method="sendMessage", kind="drop_before")
    await control.ask("POST", "/faults", method="sendMessage", kind="drop_after")
    for text in ("lost", "sent"):
        with pytest.raises(TelegramNetworkError):
            await bot.send_message(ann, text)
    assert await texts(control, ann) == ["sent"]


async def test_500_and_a_hang_are_as_asked(bot: Bot, control: Control, ann: int) -> None:
    await control.ask("POST", "/faults", method="*", kind="error", code=500)
    with pytest.raises(TelegramServerError):
        await bot.get_me()
    await control.ask("POST", "/faults", method="sendMessage", kind="hang", seconds=30)
    with pytest.raises(TelegramNetworkError):
        await bot.send_message(ann, "x", request_timeout=1)


async def test_the_call_log_tells_method_parameters_and_answer(bot: Bot, control: Control, ann: int) -> None:
    before = (await control.ask("GET", "/calls"))["last"]
    waiting = asyncio.create_task(control.ask("GET", f"/calls?since={before}&method=sendMessage&timeout=5"))
    await bot.send_message(ann, "logged")
    (call,) = (await waiting)["calls"]
    assert (call["method"], call["params"]["text"], call["status"]) == ("sendMessage", "logged", 200)
    assert call["answer"]["result"]["text"] == "logged"


async def test_enforced_rates_answer_429(bot: Bot, control: Control, ann: int) -> None:
    await control.ask("PATCH", "/settings", enforce_rates=True)
    for number in range(3):
        await bot.send_message(ann, str(number))
    with pytest.raises(TelegramRetryAfter):
        await bot.send_message(ann, "too early")


async def test_a_foreign_host_or_origin_is_refused(sandbox: Sandbox) -> None:
    attempts = [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "null"}]
    async with aiohttp.ClientSession() as http:
        for headers in attempts:
            async with http.post(f"{sandbox.url}/sandbox/api/users", json={}, headers=headers) as response:
                assert response.status == 403
        async with http.get(sandbox.url, headers={"Host": "localhost:1"}) as response:
            assert (response.status, "default-src 'none'" in response.headers["Content-Security-Policy"]) == (
                200,
                True,
            )


async def test_the_token_is_never_logged(
    bot: Bot, sandbox: Sandbox, ann: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        await bot.send_message(ann, "x")
    assert sandbox.token not in "".join(
        r.getMessage() for r in caplog.records if not r.name.startswith("aiogram")
    )


async def served(folder: Path) -> tuple[asyncio.subprocess.Process, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "aisha",
        "sandbox",
        "--data-dir",
        str(folder),
        "--port",
        "0",
        stdout=asyncio.subprocess.PIPE,
    )
    line = (await process.stdout.readline()).decode()
    assert line.startswith("ready http://127.0.0.1:")
    return process, line.split()[1]


async def test_everything_survives_kill_9(tmp_path: Path) -> None:
    process, url = await served(tmp_path)
    token = (tmp_path / "token").read_text()
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600
    async with aiohttp.ClientSession() as http:
        ann = await Control(url, http).user()
        await Control(url, http).say(ann, "before")
        bot = bot_of(url, token)
        sent = await bot.send_message(ann, "kept")
        await bot.session.close()
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()

        process, url = await served(tmp_path)
        bot = bot_of(url, token)
        assert [u.message.text for u in await bot.get_updates()] == ["before"]
        await bot.edit_message_text("edited", chat_id=ann, message_id=sent.message_id)
        assert (await bot.send_message(ann, "next")).message_id == sent.message_id + 1
        assert await texts(Control(url, http), ann) == ["before", "edited", "next"]
        await bot.session.close()
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
