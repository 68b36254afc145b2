"""Figures of several bots: the webhook's throughput, and how long nobody polls at a handover."""

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from tests.bench.decoding import figure
from tests.integration.bots.harness import SECRET, App, Bot, until

from aisha.database.migrate import migrate
from aisha_embedded.services import Services, erase
from aisha_sandbox.server import Sandbox

UPDATES = 10_000
CONNECTIONS = 100
HANDOVERS = 10
HEADERS = {"X-Telegram-Bot-Api-Secret-Token": SECRET}


@asynccontextmanager
async def _app() -> AsyncIterator[App]:
    with tempfile.TemporaryDirectory(prefix="aisha-") as folder:
        data_dir = Path(folder) / "data"
        async with (
            Services.start(data_dir) as services,
            Sandbox.open(Path(folder) / "sandbox") as sandbox,
            aiohttp.ClientSession() as http,
        ):
            migrate(services.environment["AISHA_DATABASE_URL"])
            app = App(services.environment, sandbox, http, Path(folder))
            try:
                yield app
            finally:
                await app.end()
        erase(data_dir)


def webhook() -> Iterator[dict[str, Any]]:
    """Measure how many updates a second one bot takes, over as many connections as Telegram opens."""
    seconds, waits = asyncio.run(_post_all())
    detail = f"{UPDATES} updates, {CONNECTIONS} connections, handling them at the same time"
    yield figure("webhook_updates", UPDATES / seconds, "1/s", detail)
    yield figure("webhook_answer_p95", 1000 * sorted(waits)[int(len(waits) * 0.95)], "ms", detail)


async def _post_all() -> tuple[float, list[float]]:
    async with _app() as app:
        bot = await app.webhook_bot("https://bot.example/telegram").ready()
        numbers, waits = iter(range(1, UPDATES + 1)), []
        began = time.monotonic()
        await asyncio.gather(*(_post(app, bot, numbers, waits) for _ in range(CONNECTIONS)))
        return time.monotonic() - began, waits


async def _post(app: App, bot: Bot, numbers: Iterator[int], waits: list[float]) -> None:
    url = f"http://127.0.0.1:{bot.port}/telegram"
    for number in numbers:
        message = {
            "message_id": number,
            "date": 1,
            "chat": {"id": -number, "type": "group", "title": "Bench"},
        }
        body = json.dumps({"update_id": number, "message": message | {"text": "a text of some length " * 5}})
        asked = time.monotonic()
        async with app.http.post(url, data=body, headers=HEADERS) as answer:
            assert answer.status == 200
        waits.append(time.monotonic() - asked)


def handover() -> Iterator[dict[str, Any]]:
    """Measure how long an update waits when the polling bot is stopped, or killed."""
    for name, end in (("planned", Bot.stop), ("killed", _kill)):
        gaps = asyncio.run(_gaps(end))
        detail = f"median of {len(gaps)}, most {1000 * max(gaps):.0f}"
        yield figure(f"handover_{name}", 1000 * statistics.median(gaps), "ms", detail)


async def _kill(bot: Bot) -> None:
    bot.process.kill()


async def _gaps(end: Callable[[Bot], Awaitable[Any]]) -> list[float]:
    """Return the seconds until a text sent as the polling bot is stopped is in the inbox."""
    gaps = []
    async with _app() as app:
        person = await app.control.user()
        bots = [await app.bot().ready()]
        for _ in range(HANDOVERS):
            bots.append(await app.bot().ready())
            await until(bots[0].polls, "the first bot to poll")
            known, told = await _known(app), time.monotonic()
            ending = asyncio.ensure_future(end(bots.pop(0)))
            await asyncio.sleep(0)
            await app.control.say(person, "hello")
            while await _known(app) == known:
                await asyncio.sleep(0.002)
            gaps.append(time.monotonic() - told)
            await ending
    return gaps


async def _known(app: App) -> int:
    return int((await app.query("SELECT count(*) AS count FROM inbox"))[0]["count"])


FIGURES = (webhook, handover)
