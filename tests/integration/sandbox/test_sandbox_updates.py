import asyncio
import time

import aiohttp
import pytest
from aiogram import Bot
from aiogram.exceptions import TelegramAPIError, TelegramConflictError
from tests.integration.sandbox.client import Control
from tests.integration.sandbox.receiver import Receiver, until

from aisha_sandbox.server import Sandbox


async def test_an_unconfirmed_update_is_delivered_again_and_a_confirmed_one_is_not(
    bot: Bot, control: Control, ann: int
) -> None:
    await control.say(ann, "one")
    first, again = await bot.get_updates(), await bot.get_updates()
    assert [u.update_id for u in first] == [u.update_id for u in again]
    assert await bot.get_updates(offset=first[-1].update_id + 1) == []
    assert await bot.get_updates() == []


async def test_a_negative_offset_keeps_only_the_last_updates(bot: Bot, control: Control, ann: int) -> None:
    for text in "abc":
        await control.say(ann, text)
    assert [u.message.text for u in await bot.get_updates(offset=-1)] == ["c"]
    assert [u.message.text for u in await bot.get_updates()] == ["c"]


async def test_a_long_poll_wakes_at_once(bot: Bot, control: Control, ann: int) -> None:
    poll = asyncio.create_task(bot.get_updates(timeout=20))
    await asyncio.sleep(0.2)
    sent = time.monotonic()
    await control.say(ann, "wake up")
    assert (await poll)[0].message.text == "wake up"
    assert time.monotonic() - sent < 5


async def test_a_second_poller_ends_the_first_with_409(bot: Bot, control: Control, ann: int) -> None:
    first = asyncio.create_task(bot.get_updates(timeout=20))
    await asyncio.sleep(0.2)
    second = asyncio.create_task(bot.get_updates(timeout=20))
    with pytest.raises(TelegramConflictError, match="terminated by other getUpdates request"):
        await first
    await control.say(ann, "hello")
    assert len(await second) == 1


async def test_polling_with_a_webhook_set_is_a_conflict(bot: Bot) -> None:
    await bot.set_webhook("http://127.0.0.1:9/")
    with pytest.raises(TelegramConflictError, match="while webhook is active"):
        await bot.get_updates()
    await bot.delete_webhook()
    assert await bot.get_updates() == []


async def test_allowed_updates_are_remembered(bot: Bot, control: Control, ann: int) -> None:
    await bot.get_updates(allowed_updates=["message_reaction"])
    await control.say(ann, "unheard")
    await control.ask("POST", f"/chats/{ann}/messages/1/react", emoji="👍")
    (update,) = await bot.get_updates()
    assert update.message_reaction.new_reaction[0].emoji == "👍"


async def test_an_injected_update_may_repeat_an_old_id(bot: Bot, control: Control, ann: int) -> None:
    await control.say(ann, "once")
    (update,) = await bot.get_updates()
    raw = update.model_dump(mode="json", exclude_none=True)
    raw["message"]["from"] = raw["message"].pop("from_user")
    raw["message"]["date"] = int(update.message.date.timestamp())
    await bot.get_updates(offset=update.update_id + 1)
    assert await control.ask("POST", "/updates", **raw) == {"update_id": update.update_id}
    (repeated,) = await bot.get_updates(offset=update.update_id + 1)
    assert repeated.update_id == update.update_id
    assert await bot.get_updates(offset=update.update_id + 1) == []


async def test_a_webhook_gets_the_secret_and_is_tried_again_after_a_failure(
    bot: Bot, control: Control, ann: int
) -> None:
    receiver = Receiver(failures=1)
    async with receiver as url:
        await bot.set_webhook(url, secret_token="hush-hush")
        await control.say(ann, "hello")
        await until(lambda: len(receiver.seen) == 2)
        assert [secret for secret, _ in receiver.seen] == ["hush-hush"] * 2
        assert receiver.seen[0][1] == receiver.seen[1][1]
        info = await bot.get_webhook_info()
        await bot.delete_webhook()
    assert "500" in info.last_error_message
    assert info.pending_update_count == 0


async def test_a_webhook_that_asks_for_time_is_given_it(bot: Bot, control: Control, ann: int) -> None:
    receiver = Receiver(failures=2, retry_after=1)
    async with receiver as url:
        await bot.set_webhook(url)
        await control.say(ann, "hello")
        await until(lambda: len(receiver.seen) == 3)
        await bot.delete_webhook()
    assert receiver.times[2] - receiver.times[0] > 1.9


async def test_setting_a_webhook_ends_a_waiting_poll(bot: Bot) -> None:
    poll = asyncio.create_task(bot.get_updates(timeout=20))
    await asyncio.sleep(0.2)
    await bot.set_webhook("http://127.0.0.1:9/", max_connections=100, allowed_updates=["message"])
    with pytest.raises(TelegramConflictError, match="terminated by setWebhook"):
        await poll
    info = await bot.get_webhook_info()
    assert (info.max_connections, info.allowed_updates) == (100, ["message"])


async def test_a_method_in_a_webhook_answer_is_carried_out(bot: Bot, control: Control, ann: int) -> None:
    receiver = Receiver(reply={"method": "sendMessage", "chat_id": ann, "text": "from the answer"})
    async with receiver as url:
        await bot.set_webhook(url)
        await control.say(ann, "hello")
        said = await control.ask("GET", f"/chats/{ann}/messages?from_bot=1&since=1&timeout=5")
        await bot.delete_webhook()
    assert said["messages"][0]["message"]["text"] == "from the answer"


async def test_a_malformed_secret_is_refused(bot: Bot) -> None:
    with pytest.raises(TelegramAPIError, match="secret token contains unallowed characters"):
        await bot.set_webhook("https://example.org/", secret_token="a b")


async def test_a_wrong_token_is_unauthorized_and_an_unknown_method_not_found(sandbox: Sandbox) -> None:
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{sandbox.url}/bot1:wrong/getMe") as response:
            assert (response.status, (await response.json())["description"]) == (401, "Unauthorized")
        async with http.get(f"{sandbox.url}/bot{sandbox.token}/getNothing") as response:
            assert (response.status, (await response.json())["error_code"]) == (404, 404)
        async with http.get(f"{sandbox.url}/bot{sandbox.token}/GETME") as response:
            assert (await response.json())["result"]["is_bot"]
