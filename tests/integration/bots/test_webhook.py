"""Updates that Telegram posts: each is in the inbox before it is acknowledged, whichever bot takes it."""

import asyncio
import hashlib
import hmac
import json
import signal
from pathlib import Path
from typing import Any

import aiohttp
import psycopg
import pytest
from tests.integration.bots.harness import (
    SECRET,
    Alternation,
    App,
    Bot,
    Crowd,
    free_port,
    until,
    webhook_settings,
)
from tests.integration.tls.terminator import Authority, encrypted

HEADERS = {"X-Telegram-Bot-Api-Secret-Token": SECRET}
UPDATE = {"update_id": 5, "edited_message": {"odd": True}}


async def post(app: App, bot: Bot, body: Any = UPDATE, headers: dict[str, str] = HEADERS) -> int:
    """Post to a bot's own port and return the status."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with app.http.post(f"http://127.0.0.1:{bot.port}/telegram", data=data, headers=headers) as answer:
        return answer.status


@pytest.fixture
async def bot(app: App) -> Bot:
    return await app.webhook_bot("https://bot.example/telegram").ready()


async def test_two_bots_answer_two_hundred_texts_once_while_one_of_them_ends(
    app: App, crowd: Crowd, proxy: Alternation
) -> None:
    bots = [await app.webhook_bot(proxy.url).ready() for _ in range(2)]
    proxy.targets = [f"http://127.0.0.1:{bot.port}" for bot in bots]
    assert (await app.aisha("webhook", "sync", **webhook_settings(proxy.url)))[0] == 0
    writing = asyncio.create_task(crowd.write(200, pause=0.005))
    await until(lambda: crowd.answers() >= 30, "the first answers")
    assert await bots[0].stop() == 0
    await writing
    await crowd.answered_once()
    assert proxy.failed == []


async def test_the_modes_change_under_traffic_and_nothing_is_lost(
    app: App, crowd: Crowd, proxy: Alternation
) -> None:
    poller = await app.bot().ready()
    posted = await app.webhook_bot(proxy.url).ready()
    proxy.targets = [f"http://127.0.0.1:{posted.port}"]
    writing = asyncio.create_task(crowd.write(300, pause=0.02))
    for settings, receives in (
        (webhook_settings(proxy.url), False),
        ({}, True),
        (webhook_settings(proxy.url), False),
    ):
        await asyncio.sleep(1)
        status, said = await app.aisha("webhook", "sync", **settings)
        assert status == 0, said
        await until(lambda: _polls(poller, receives), f"polling to be {receives}")  # noqa: B023
    await writing
    await crowd.answered_once()
    assert app.sandbox.core.webhook.info()["url"] == proxy.url
    assert poller.process.poll() is None


async def _polls(bot: Bot, expected: bool) -> bool:
    return await bot.polls() == expected


async def test_a_sync_changes_only_what_differs(app: App) -> None:
    settings = webhook_settings("https://bot.example/telegram")
    for environment, expected in (
        ({}, "unchanged: the bot polls"),
        (
            settings,
            "webhook set to https://bot.example/telegram (differed: address, kinds of updates, connections, secret)",
        ),
        (settings, "unchanged: Telegram posts to https://bot.example/telegram"),
        (settings | {"AISHA_WEBHOOK_SECRET": "another"}, "(differed: secret)"),
        ({}, "webhook https://bot.example/telegram deleted"),
        ({}, "unchanged: the bot polls"),
    ):
        status, said = await app.aisha("webhook", "sync", **environment)
        assert (status, expected in said) == (0, True), said
    assert await app.query("SELECT mode FROM receiving") == [{"mode": "polling"}]


async def test_a_sync_notices_a_fixed_address_and_a_certificate_that_come_change_and_go(
    app: App, tmp_path: Path
) -> None:
    """Telegram reports an IP address, the URL's, even when none is fixed."""
    plain = webhook_settings("https://192.0.2.7/telegram")
    fixed = plain | {"AISHA_WEBHOOK_IP": "192.0.2.8"}
    certificate = Authority(tmp_path).file
    trusted = plain | {"AISHA_WEBHOOK_CERTIFICATE": str(certificate)}
    await app.aisha("webhook", "sync", **plain)
    for environment, differed in (
        (plain, None),
        (fixed, "fixed address"),
        (fixed, None),
        (fixed | {"AISHA_WEBHOOK_IP": "192.0.2.9"}, "fixed address"),
        (plain, "fixed address"),
        (trusted, "certificate"),
        (trusted, None),
        (fixed | trusted, "fixed address"),
        (plain, "fixed address, certificate"),
        (plain, None),
    ):
        status, said = await app.aisha("webhook", "sync", **environment)
        assert (status, f"(differed: {differed})" if differed else "unchanged") == (0, _what(said)), said
    await app.aisha("webhook", "sync", **trusted)
    certificate.write_bytes(Authority(tmp_path).file.read_bytes())
    assert _what((await app.aisha("webhook", "sync", **trusted))[1]) == "(differed: certificate)"


def _what(said: str) -> str:
    """Return what a sync says it did, without the address."""
    return "unchanged" if said.startswith("unchanged") else said[said.find("(differed") :].strip()


async def test_a_sync_sets_anew_what_somebody_else_has_set_at_telegram(app: App, tmp_path: Path) -> None:
    url = "https://bot.example/telegram"
    settings = webhook_settings(url) | {
        "AISHA_WEBHOOK_IP": "192.0.2.8",
        "AISHA_WEBHOOK_CERTIFICATE": str(Authority(tmp_path).file),
    }
    await app.aisha("webhook", "sync", **settings)
    app.sandbox.core.webhook.set(url, SECRET, 100, None, None)
    said = (await app.aisha("webhook", "sync", **settings))[1]
    assert _what(said) == "(differed: fixed address, certificate)"
    info = app.sandbox.core.webhook.info()
    assert (info["ip_address"], info["has_custom_certificate"]) == ("192.0.2.8", True)


async def test_what_earlier_releases_have_recorded_still_counts(app: App) -> None:
    settings = webhook_settings("https://bot.example/telegram")
    await app.aisha("webhook", "sync", **settings)
    key = app.environment["AISHA_BOT_TOKEN"].encode()
    digest = hmac.new(key, SECRET.encode(), hashlib.sha256).hexdigest()
    assert await app.query("SELECT secret_digest FROM receiving") == [{"secret_digest": digest}]


async def test_a_bot_behind_a_proxy_of_an_own_authority_hears_by_a_name_that_dns_does_not_know(
    app: App, crowd: Crowd, tmp_path: Path
) -> None:
    authority = Authority(tmp_path, "bot.example")
    bot = await app.webhook_bot("https://bot.example/telegram").ready()
    async with encrypted(int(bot.port), authority.server) as port:
        settings = webhook_settings(f"https://bot.example:{port}/telegram") | {
            "AISHA_WEBHOOK_IP": "127.0.0.1",
            "AISHA_WEBHOOK_CERTIFICATE": str(authority.file),
        }
        status, said = await app.aisha("webhook", "sync", **settings)
        assert status == 0, said
        await crowd.write(5)
        await crowd.answered_once()
        await bot.stop()


async def test_what_telegram_knows_is_shown_without_the_secret(app: App) -> None:
    settings = webhook_settings("https://bot.example/telegram")
    await app.aisha("webhook", "sync", **settings)
    status, said = await app.aisha("webhook", "show")
    assert (status, json.loads(said)["max_connections"]) == (0, 100)
    assert SECRET not in said
    assert SECRET not in str(await app.query("SELECT * FROM receiving"))


async def test_a_post_without_the_secret_is_refused(app: App, bot: Bot) -> None:
    almost = {"X-Telegram-Bot-Api-Secret-Token": SECRET[:-1]}
    assert [await post(app, bot, headers={}), await post(app, bot, headers=almost)] == [401, 401]
    assert await app.query("SELECT * FROM inbox") == []


async def test_what_is_no_update_is_refused(app: App, bot: Bot) -> None:
    bodies = [b"", b"{", b"[]", b'{"message": {}}', b'{"update_id": "5"}', b"\xff", b"[" * 100_000]
    assert [await post(app, bot, body) for body in bodies] == [400] * len(bodies)
    assert await post(app, bot, b'{"update_id": 5, "x": "' + b"x" * 2**20 + b'"}') == 413


async def test_an_odd_update_is_taken_and_a_repeat_changes_nothing(app: App, bot: Bot) -> None:
    assert [await post(app, bot), await post(app, bot)] == [200, 200]
    assert [row["update_id"] for row in await app.query("SELECT update_id FROM inbox")] == [5]


async def test_one_update_that_cannot_be_stored_spoils_no_other(app: App, bot: Bot) -> None:
    bad = b'{"update_id": 9, "x": 1e999}'
    posts = [post(app, bot, bad), *(post(app, bot, {"update_id": number}) for number in range(10, 20))]
    assert await asyncio.gather(*posts) == [400, *[200] * 10]
    assert len(await app.query("SELECT * FROM inbox")) == 10


async def test_a_bot_that_ends_answers_what_was_asked_and_says_that_it_drains(app: App, bot: Bot) -> None:
    address = app.environment["AISHA_DATABASE_URL"]
    async with await psycopg.AsyncConnection.connect(address) as holding:
        await holding.execute("LOCK TABLE inbox IN EXCLUSIVE MODE")
        asked = asyncio.create_task(
            app.http.post(f"http://127.0.0.1:{bot.port}/telegram", json=UPDATE, headers=HEADERS)
        )
        await asyncio.sleep(0.3)
        bot.process.terminate()
        await until(lambda: _draining(bot), "it to say that it drains")
        await until(lambda: _refuses(app, bot), "the port to be closed")
        await holding.rollback()
    answer = await asked
    assert (answer.status, answer.headers["Connection"]) == (200, "close")
    assert await bot.ended() == 0
    assert len(await app.query("SELECT * FROM inbox")) == 1


async def _draining(bot: Bot) -> bool:
    status, checks = await bot.state()
    return status == 503 and checks.get("process") == "draining"


async def _refuses(app: App, bot: Bot) -> bool:
    try:
        async with aiohttp.ClientSession() as http:
            await http.post(f"http://127.0.0.1:{bot.port}/telegram", headers=HEADERS)
    except aiohttp.ClientConnectorError:
        return True
    return False


async def test_what_waits_at_the_port_when_a_bot_is_told_to_end_is_answered(app: App, bot: Bot) -> None:
    bot.process.send_signal(signal.SIGSTOP)
    posts = [asyncio.create_task(post(app, bot, {"update_id": number})) for number in range(20)]
    await asyncio.sleep(0.5)
    bot.process.terminate()
    bot.process.send_signal(signal.SIGCONT)
    assert await asyncio.gather(*posts) == [200] * 20
    assert await bot.ended() == 0


async def test_the_port_is_closed_until_the_services_answer(app: App) -> None:
    bot = app.bot(
        **webhook_settings("https://bot.example/telegram"),
        AISHA_WEBHOOK_PORT=str(free_port()),
        AISHA_REDIS_URL=f"redis://127.0.0.1:{free_port()}/0",
    )
    await until(bot.state, "its health")
    await until(lambda: _not_listening(bot), "a state")
    assert await _refuses(app, bot)


async def _not_listening(bot: Bot) -> bool:
    status, checks = await bot.state()
    return status == 503 and checks.get("webhook") == "not listening" and checks["redis"] != "ok"


@pytest.mark.parametrize("missing", ["AISHA_WEBHOOK_URL", "AISHA_WEBHOOK_SECRET"])
async def test_what_webhook_mode_lacks_is_named(app: App, missing: str) -> None:
    settings = webhook_settings("https://bot.example/telegram") | {missing: ""}
    for verb in (["bot"], ["webhook", "sync"]):
        status, said = await app.aisha(*verb, **settings)
        assert (status, missing in said) == (1, True), said
