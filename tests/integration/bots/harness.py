"""`aisha bot`, several at once, on real services, with people who write to them through the sandbox."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import psycopg
from aiohttp import web
from psycopg.rows import dict_row
from tests.integration.sandbox.client import Control

from aisha_sandbox.server import Sandbox

AISHA = Path(sys.executable).with_name("aisha")
SECRET = "a-secret-of-the-webhook"
LONGEST_SECONDS = 120
ANSWERS = (
    "SELECT chat_id, count(*) AS count FROM messages WHERE sender_id = ? AND deleted = 0 GROUP BY chat_id"
)


def free_port() -> int:
    """Return a loopback port that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


async def until(
    condition: Callable[[], Any], what: str, said: Callable[[], str] = str, seconds: float = LONGEST_SECONDS
) -> Any:
    """Return the condition's first true value, asking fifty times a second, for as long as a busy machine may need.

    `said` is asked for the log only when that time is over.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"waited {seconds} s for {what} {said()}")


class App:
    """The services, the sandbox, and what is started of `aisha` on them: this release's, or that of `source`."""

    def __init__(
        self,
        services: dict[str, str],
        sandbox: Sandbox,
        http: aiohttp.ClientSession,
        folder: Path,
        source: Path | None = None,
    ) -> None:
        self.sandbox, self.http, self.folder = sandbox, http, folder
        self.control = Control(sandbox.url, http)
        self.bots: list[Bot] = []
        self.command = (sys.executable, "-m", "aisha") if source else (str(AISHA),)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AISHA_")},
            **services,
            "AISHA_BOT_TOKEN": sandbox.token,
            "AISHA_BOT_API_URL": sandbox.url,
            **({"PYTHONPATH": str(source)} if source else {}),
        }

    def bot(self, **settings: str) -> "Bot":
        """Start a bot; `ready` waits for it."""
        self.bots.append(Bot(self, settings))
        return self.bots[-1]

    def webhook_bot(self, url: str) -> "Bot":
        """Start a bot in webhook mode, which Telegram reaches at that address."""
        return self.bot(**webhook_settings(url), AISHA_WEBHOOK_PORT=str(free_port()))

    async def aisha(self, *arguments: str, **settings: str) -> tuple[int, str]:
        """Run a verb to its end; return its status and what it says."""
        process = await asyncio.create_subprocess_exec(
            *self.command,
            *arguments,
            env=self.environment | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = await process.communicate()
        return process.returncode or 0, out.decode() + err.decode()

    async def query(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Ask the database."""
        address = self.environment["AISHA_DATABASE_URL"]
        async with await psycopg.AsyncConnection.connect(
            address, autocommit=True, row_factory=dict_row
        ) as connection:
            cursor = await connection.execute(query, values)
            return await cursor.fetchall() if cursor.description else []

    async def polling(self) -> str | None:
        """Return the id of the bot that polls."""
        rows = await self.query(
            "SELECT holder FROM leases WHERE name = 'poll' AND expires > clock_timestamp()"
        )
        return rows[0]["holder"] if rows else None

    async def readiness(self, port: int) -> tuple[int, dict[str, str]]:
        """Return the status and the checks of a process's readiness; 0 while it does not answer."""
        try:
            async with self.http.get(f"http://127.0.0.1:{port}/health/ready") as answer:
                return answer.status, (await answer.json())["checks"]
        except aiohttp.ClientError:
            return 0, {}

    def answers(self, chat: int) -> int:
        """Return how many answers to recordings a chat shows; a status is none."""
        views = self.sandbox.core.messages.views(chat, limit=100)
        return sum(view["from_bot"] and not _is_status(view["message"].get("text", "")) for view in views)

    async def end(self) -> None:
        """Kill what is left."""
        for bot in self.bots:
            if bot.process.poll() is None:
                bot.process.send_signal(signal.SIGCONT)
                bot.process.kill()
                bot.process.wait()


def _is_status(text: str) -> bool:
    return text.startswith(("🎧", "⏳"))


class Bot:
    """One `aisha bot`."""

    def __init__(self, app: App, settings: dict[str, str]) -> None:
        self._app = app
        self.health = free_port()
        self.port = settings.get("AISHA_WEBHOOK_PORT", "")
        self.log = app.folder / f"bot-{self.health}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*app.command, "bot"],
                env=app.environment | settings | {"AISHA_HEALTH_PORT": str(self.health)},
                stdout=log,
                stderr=log,
            )

    async def ready(self) -> "Bot":
        """Wait until it says that it is ready."""
        await until(self.is_ready, "a bot to be ready; its log:", self.said)
        return self

    async def is_ready(self) -> bool:
        assert self.process.poll() is None, self.said()
        return (await self.state())[0] == 200

    async def state(self) -> tuple[int, dict[str, str]]:
        """Return the status and the checks of its readiness; 0 while it does not answer."""
        return await self._app.readiness(self.health)

    async def id(self) -> str:
        """Return its id among the bots."""
        rows = await self._app.query("SELECT id FROM bots")
        return next(row["id"] for row in rows if f"/{self.process.pid}/" in row["id"])

    async def polls(self) -> bool:
        """Return whether it is the one that polls."""
        return f"/{self.process.pid}/" in (await self._app.polling() or "")

    async def stop(self) -> int:
        """Send SIGTERM and return the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return await self.ended()

    async def ended(self) -> int:
        """Wait for its end and return the exit status."""
        await until(lambda: self.process.poll() is not None, "a bot's end; its log:", self.said)
        return self.process.wait()

    def said(self) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-40:])


class Worker:
    """One `aisha worker`."""

    def __init__(self, app: App, models: Path, concurrency: int = 1, **settings: str) -> None:
        self._app = app
        self.metrics = free_port()
        self.log = app.folder / f"worker-{self.metrics}.log"
        own = {"AISHA_MODELS_DIR": str(models), "AISHA_WORKER_METRICS_PORT": str(self.metrics)}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*app.command, "worker", "--concurrency", str(concurrency)],
                env=app.environment | own | settings,
                stdout=log,
                stderr=log,
            )

    async def readiness(self) -> tuple[int, dict[str, str]]:
        """Return the status and the checks; 0 while it does not answer."""
        return await self._app.readiness(self.metrics)

    async def ready(self) -> "Worker":
        await until(self._is_ready, "a worker; its log:", lambda: self.log.read_text()[-2000:])
        return self

    async def _is_ready(self) -> bool:
        return (await self.readiness())[0] == 200

    async def ended(self) -> int:
        await until(
            lambda: self.process.poll() is not None, f"a worker's end: {self.log.read_text()[-2000:]}"
        )
        return self.process.wait()


def webhook_settings(url: str) -> dict[str, str]:
    """Return the environment of webhook mode."""
    return {"AISHA_BOT_MODE": "webhook", "AISHA_WEBHOOK_URL": url, "AISHA_WEBHOOK_SECRET": SECRET}


class Crowd:
    """People who write texts, each of which has one answer."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._sent: dict[int, int] = {}

    async def gather(self, people: int) -> None:
        """Have so many people."""
        for number in range(people):
            self._sent[await self._app.control.user(first_name=f"Person {number}")] = 0

    async def write(self, texts: int, pause: float = 0) -> None:
        """Have them write so many texts in total, taking turns."""
        for number in range(texts):
            chat = list(self._sent)[number % len(self._sent)]
            await self._app.control.say(chat, f"text {number}")
            self._sent[chat] += 1
            await asyncio.sleep(pause)

    def answers(self) -> int:
        """Return how many answers there are."""
        return sum(self._answers().values())

    async def answered_once(self) -> None:
        """Wait for the last answer, and a little longer for unexpected messages."""
        await until(lambda: self.answers() >= sum(self._sent.values()), f"{sum(self._sent.values())} answers")
        await asyncio.sleep(2)
        assert self._answers() == {chat: count for chat, count in self._sent.items() if count}

    def _answers(self) -> dict[int, int]:
        core = self._app.sandbox.core
        rows = core.state.rows(ANSWERS, core.chats.bot_id)
        return {row["chat_id"]: row["count"] for row in rows}


class Alternation:
    """Passes each request to the next of several addresses, or to another when it is refused."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self.targets: list[str] = []
        self.failed: list[int] = []
        self._http = http
        self._turn = 0

    async def __aenter__(self) -> "Alternation":
        app = web.Application()
        app.router.add_post("/{path:.*}", self._pass)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/telegram"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _pass(self, request: web.Request) -> web.Response:
        body, headers = await request.read(), {k: v for k, v in request.headers.items() if k.startswith("X-")}
        self._turn += 1
        first = self._turn % len(self.targets)
        for target in (*self.targets[first:], *self.targets[:first]):
            try:
                async with self._http.post(
                    target + request.path, data=body, headers=headers | {"Connection": "close"}
                ) as answer:
                    if answer.status != 200:
                        self.failed.append(answer.status)
                    return web.Response(status=answer.status)
            except aiohttp.ClientConnectorError:
                continue
        self.failed.append(502)
        return web.Response(status=502)
