"""`aisha bot`: receives updates, stores recordings, queues jobs and delivers answers."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import click
import psycopg
import structlog
import uvloop
from aiogram import Bot, Dispatcher
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import TelegramAPIError, TelegramBadRequest, TelegramNotFound
from aiogram.types import BotCommand
from redis import Redis
from redis.exceptions import RedisError

from aisha import logs, settings, texts
from aisha.database.connect import LOST, Pool, Wakeups, open_pool
from aisha.database.retention import forget_old
from aisha.deliver.answer import compose_all
from aisha.deliver.sender import Sender
from aisha.deliver.status import refresh_statuses
from aisha.errors import AishaError, ServiceError
from aisha.health import Checks, HealthServer
from aisha.queue.dispatch import Dispatcher as JobDispatcher
from aisha.queue.lanes import connect as connect_redis
from aisha.queue.reconcile import Reconciler
from aisha.receive import commands, languages, others, recordings
from aisha.receive.inbox import Handler
from aisha.receive.polling import POLL_SECONDS, Poller
from aisha.settings import Settings
from aisha.store.objects import UNREACHABLE, Objects
from aisha.store.storing import Storer
from aisha.tasks import end

log = structlog.get_logger(__name__)

STAGES = ("handle", "store", "dispatch", "answer", "send")
POOL_SIZE = 32
THREADS = 32
REQUEST_SECONDS = 20
RECONCILE_SECONDS = 2
STATUS_SECONDS = 3
IDLE_SECONDS = 2
RETENTION_SECONDS = 3600
TRANSIENT = (*LOST, RedisError, TelegramAPIError, OSError, *UNREACHABLE)


class BotProcess:
    """The bot's composition root.

    1. It opens the pool, the bucket and the session, and starts the health server.
    2. Each stage of the message path is a loop: it waits to be woken, or a moment, and takes one step. PostgreSQL holds
       all state, so a step that fails is taken again and a loop needs no memory.
    3. On SIGTERM or Ctrl-C polling stops first; sendings that have begun are recorded; the rest waits for the next
       start.
    """

    def __init__(self, loaded: Settings) -> None:
        loaded.required(
            "bot_token", "database_url", "redis_url", "s3_endpoint", "s3_access_key", "s3_secret_key"
        )
        self._settings = loaded
        self._database_url = loaded.secret("database_url")
        self._objects = Objects(loaded)
        self._redis: Redis = connect_redis(loaded.secret("redis_url"))
        self._token = loaded.secret("bot_token")
        self._poller: Poller | None = None

    async def run(self) -> None:
        """Serve until a signal."""
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
        session = AiohttpSession(
            api=TelegramAPIServer.from_base(self._settings.api_url), timeout=REQUEST_SECONDS
        )
        async with Bot(self._token, session=session) as bot, open_pool(self._database_url, POOL_SIZE) as pool:
            await _reachable(pool)
            await asyncio.to_thread(self._objects.check)
            health = HealthServer(
                self._settings.metrics_host, self._settings.health_port, lambda: self._check(pool)
            )
            try:
                await health.start()
            except OSError as error:
                raise ServiceError(
                    f"AISHA_HEALTH_PORT {self._settings.health_port} cannot be used: {error.strerror}"
                ) from None
            try:
                await self._serve(bot, pool)
            finally:
                await health.close()

    async def _serve(self, bot: Bot, pool: Pool) -> None:
        wakeups = Wakeups(self._database_url, STAGES)
        poller = self._poller = Poller(bot, pool, wakeups)
        handler = Handler(bot, dispatcher(self._settings), pool, wakeups)
        storer = Storer(bot, pool, self._objects, self._settings, wakeups)
        sender = Sender(bot, pool, wakeups, lambda: poller.caught_up)
        reconciler = Reconciler(pool, self._redis)
        job_dispatcher = JobDispatcher(pool, self._redis)

        def woken(stage: str) -> Callable[[], Awaitable[None]]:
            return lambda: wakeups.wait(stage, IDLE_SECONDS)

        loops = [
            asyncio.create_task(wakeups.listen()),
            asyncio.create_task(forever("receive", poller.step, lambda: asyncio.sleep(0))),
            asyncio.create_task(forever("handle", handler.step, woken("handle"))),
            asyncio.create_task(forever("store", storer.step, woken("store"))),
            asyncio.create_task(forever("dispatch", job_dispatcher.step, woken("dispatch"))),
            asyncio.create_task(
                forever("answer", lambda: compose_all(pool, self._settings), woken("answer"))
            ),
            asyncio.create_task(forever("send", sender.step, woken("send"))),
            asyncio.create_task(
                forever("reconcile", reconciler.step, lambda: asyncio.sleep(RECONCILE_SECONDS))
            ),
            asyncio.create_task(
                forever("status", lambda: refresh_statuses(pool), lambda: asyncio.sleep(STATUS_SECONDS))
            ),
            asyncio.create_task(
                forever("retention", lambda: forget_old(pool), lambda: asyncio.sleep(RETENTION_SECONDS))
            ),
            asyncio.create_task(forever("commands", lambda: set_commands(bot), asyncio.Event().wait)),
        ]
        log.info("started", api=self._settings.api_url)
        try:
            await until_signal(loops)
        finally:
            log.info("stopping")
            await end(loops)
            await storer.close()
            await sender.close()

    async def _check(self, pool: Pool) -> Checks:
        polled = self._poller and self._poller.last_success
        late = not polled or asyncio.get_running_loop().time() - polled > 2 * POLL_SECONDS + 10
        database, redis, objects = await asyncio.gather(
            _state(_reachable(pool)),
            _state(asyncio.to_thread(self._redis.ping)),
            _state(asyncio.to_thread(self._objects.check)),
        )
        telegram = "getUpdates does not succeed" if late else "ok"
        return {"telegram": telegram, "database": database, "redis": redis, "objects": objects}


def dispatcher(loaded: Settings) -> Dispatcher:
    """Return aiogram's dispatcher with every router, in the order in which they are asked."""
    result = Dispatcher(settings=loaded, disable_fsm=True)
    result.include_routers(recordings.router, commands.router, languages.router, others.router)
    return result


async def forever(name: str, step: Callable[[], Awaitable[Any]], wait: Callable[[], Awaitable[Any]]) -> None:
    """Take a step, wait, and so on; a failure of a service is logged and the step is taken again.

    Raises:
        AishaError: the operator must mend something.
    """
    failures = 0
    while True:
        try:
            await step()
            failures = 0
            await wait()
        except AishaError:
            raise
        except TRANSIENT as error:
            failures += 1
            log.warning(
                "a step failed and is taken again", stage=name, error=f"{type(error).__name__}: {error}"
            )
            await asyncio.sleep(min(0.2 * 2 ** min(failures, 6), 5))
        except Exception:
            failures += 1
            log.exception("a step failed unexpectedly and is taken again", stage=name)
            await asyncio.sleep(min(0.5 * 2 ** min(failures, 6), 30))


async def until_signal(loops: list[asyncio.Task[Any]]) -> None:
    """Return at SIGTERM or SIGINT; raise what ends a loop."""
    stopped = asyncio.Event()
    running = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        running.add_signal_handler(number, stopped.set)
    waiting = asyncio.create_task(stopped.wait())
    done, _ = await asyncio.wait([waiting, *loops], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    for task in done - {waiting}:
        task.result()


async def set_commands(bot: Bot) -> None:
    """Tell Telegram the commands, so that clients offer them."""
    for interface, described in texts.COMMANDS.items():
        listed = [BotCommand(command=command, description=text) for command, text in described.items()]
        try:
            await bot.set_my_commands(listed, language_code=None if interface == "en" else interface)
        except (TelegramBadRequest, TelegramNotFound) as error:
            log.warning("the Bot API server takes no list of commands", error=error.message)


async def _reachable(pool: Pool) -> None:
    try:
        async with pool.connection(timeout=5) as connection:
            await connection.execute("SELECT 1 FROM inbox LIMIT 1")
    except psycopg.errors.UndefinedTable:
        raise ServiceError("the database has no schema yet: run `aisha migrate`") from None
    except LOST as error:
        raise ServiceError(f"cannot reach the database of AISHA_DATABASE_URL: {error}") from None


async def _state(check: Awaitable[Any]) -> str:
    try:
        await asyncio.wait_for(check, 5)
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:200]
    return "ok"


@click.command("bot")
def bot_command() -> None:
    """Run the bot: receive, store, queue and deliver."""
    loaded = settings.load()
    logs.configure(loaded, "bot")
    uvloop.run(BotProcess(loaded).run())
