"""`aisha bot`: receives updates, stores recordings, queues jobs and delivers answers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, get_args

import click
import psycopg
import structlog
import uvloop
from aiogram import Bot, Dispatcher
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import TelegramBadRequest, TelegramNotFound, TelegramUnauthorizedError
from aiogram.types import BotCommand
from redis import Redis

from aisha import logs, settings, texts
from aisha.database import bots, inbox
from aisha.database.connect import LOST, Connection, Pool, Wakeups, connect_async, open_pool
from aisha.database.leases import Lease
from aisha.database.presence import Presence
from aisha.database.retention import forget_old
from aisha.database.statement import Stage
from aisha.deliver.answer import compose_all
from aisha.deliver.sender import Sender
from aisha.deliver.status import Statuses
from aisha.erasing import Eraser
from aisha.errors import ServiceError
from aisha.health import Checks, HealthServer
from aisha.lanes import ONCE
from aisha.lanes import connect as connect_redis
from aisha.loops import forever, stop_signal, until
from aisha.objects import Objects
from aisha.probe import Probe
from aisha.queue.dispatch import Dispatcher as JobDispatcher
from aisha.queue.reconcile import Reconciler
from aisha.quick_aiogram import without_threads
from aisha.receive import commands, languages, others, privacy, recordings
from aisha.receive.backlog import caught_up
from aisha.receive.inbox import Handler
from aisha.receive.mode import Agreement
from aisha.receive.polling import Poller, refused_token
from aisha.receive.rights import Rights
from aisha.receive.webhook import Webhook
from aisha.session import GuardedSession
from aisha.settings import Settings
from aisha.store.removing import Remover
from aisha.store.storing import Storer
from aisha.tasks import end
from aisha.threads import Threads, leave

log = structlog.get_logger(__name__)

POOL_SIZE = 32
REQUEST_SECONDS = 20
RECONCILE_SECONDS = 2
STATUS_SECONDS = 3
IDLE_SECONDS = 2
RETENTION_SECONDS = 3600
REMOVE_SECONDS = 60
ERASE_SECONDS = 10
NEEDED = ("bot_token", "database_url", "redis_url", "s3_endpoint", "s3_access_key", "s3_secret_key")
NEEDED_BY_WEBHOOK = ("webhook_url", "webhook_secret")

Services = dict[str, Probe]


class BotProcess:
    """The bot's composition root.

    1. It checks the database, joins the other bots, and starts the health server.
    2. Updates come by polling, while it holds that lease, or to its webhook, once all services answer.
    3. Each stage of the message path is a loop: it waits until it is woken, or for a timeout, and takes one step.
       PostgreSQL holds all state, so a failed step is retried and a loop keeps no state of its own. All bots serve all
       stages; the chores are done by the bot that holds their lease.
    4. On SIGTERM or Ctrl-C it drains: receiving stops first and is handed over to another bot; messages that are being
       sent are recorded; any bot can do the rest. Until it exits its health says `draining`.
    """

    def __init__(self, loaded: Settings) -> None:
        loaded.required(*NEEDED, *(NEEDED_BY_WEBHOOK if loaded.bot_mode == "webhook" else ()))
        self._settings = loaded
        self._address = loaded.database_address
        self._objects = Objects(loaded)
        self._redis: Redis = connect_redis(loaded)
        self._wakeups = Wakeups(self._address, get_args(Stage))
        self._presence = Presence(self._address, loaded.bot_mode, self._wakeups)
        self._token_known = False
        self._draining = False

    async def run(self) -> None:
        """Serve until a signal."""
        stopped = stop_signal()
        session = GuardedSession(
            self._presence.check,
            api=TelegramAPIServer.from_base(self._settings.api_url),
            timeout=REQUEST_SECONDS,
        )
        await _reachable(self._address)
        async with (
            self._presence,
            Bot(self._settings.secret("bot_token"), session=session) as bot,
            open_pool(self._address, POOL_SIZE, self._presence.id, self._presence.admit) as pool,
        ):
            await self._serve(bot, pool, stopped)

    async def _serve(self, bot: Bot, pool: Pool, stopped: asyncio.Event) -> None:
        agreement = Agreement(self._settings.bot_mode)
        poll, chores = self._lease("poll", agreement.to_poll), self._lease("chores", _always)
        poller = Poller(bot, pool, self._wakeups, poll)
        webhook = self._webhook(pool)
        storer = Storer(bot, pool, self._objects, self._settings, self._wakeups)
        sender = Sender(bot, pool, self._wakeups, lambda: caught_up(bot, pool, self._settings.bot_mode))
        services = self._services(pool)
        health = await self._open_health(lambda: self._check(services, poller, webhook))
        receiving = [asyncio.create_task(self._receive(poller, webhook, services))]
        keeping = [asyncio.create_task(self._presence.keep()), asyncio.create_task(self._wakeups.listen())]
        loops = [*self._stages(bot, pool, storer, sender), *self._chores(pool, chores)]
        log.info("started", api=self._settings.api_url, bot=self._presence.id)
        try:
            await until(stopped, [*receiving, *keeping, *loops])
        finally:
            log.info("stopping")
            self._draining = True
            await end(receiving)
            await self._hand_over(pool, poll, chores)
            if webhook:
                await webhook.drain()
            await end(loops)
            await storer.close()
            await sender.close()
            await end(keeping)
            await health.close()

    def _webhook(self, pool: Pool) -> Webhook | None:
        if self._settings.bot_mode == "polling":
            return None
        return Webhook(self._settings, pool, self._wakeups)

    async def _open_health(self, check: Callable[[], Awaitable[Checks]]) -> HealthServer:
        health = HealthServer(self._settings.metrics_host, self._settings.health_port, check)
        try:
            await health.start()
        except OSError as error:
            port = f"AISHA_HEALTH_PORT {self._settings.health_port}"
            raise ServiceError(f"{port} cannot be used: {error.strerror}") from None
        return health

    async def _receive(self, poller: Poller, webhook: Webhook | None, services: Services) -> None:
        """Poll, or open the webhook's port once every service answers."""
        if not webhook:
            await forever("receive", poller.step, _at_once)
            return
        while any(state != "ok" for state in (await _states(services)).values()):  # noqa: ASYNC110 - none has an event
            await asyncio.sleep(0.2)
        await webhook.start()
        await asyncio.Event().wait()

    def _stages(self, bot: Bot, pool: Pool, storer: Storer, sender: Sender) -> list[asyncio.Task[None]]:
        """Start the stages that every bot serves."""
        handler = Handler(bot, dispatcher(self._settings), pool, self._wakeups)
        steps: dict[str, Callable[[], Awaitable[Any]]] = {
            "handle": handler.step,
            "store": storer.step,
            "dispatch": JobDispatcher(pool, self._redis).step,
            "answer": lambda: compose_all(pool, self._settings),
            "send": sender.step,
        }

        def woken(stage: str) -> Callable[[], Awaitable[None]]:
            return lambda: self._wakeups.wait(stage, IDLE_SECONDS)

        tasks = [asyncio.create_task(forever(stage, step, woken(stage))) for stage, step in steps.items()]
        once: dict[str, Callable[[], Awaitable[Any]]] = {
            "introduce": lambda: self._introduce(bot),
            "bucket": lambda: Threads("bucket").run(self._objects.check),
        }
        return [
            *tasks,
            *(asyncio.create_task(forever(name, step, asyncio.Event().wait)) for name, step in once.items()),
        ]

    def _chores(self, pool: Pool, lease: Lease) -> list[asyncio.Task[None]]:
        """Start the periodic work that one bot at a time does."""
        reconciler, statuses = Reconciler(pool, self._redis), Statuses()
        eraser = Eraser(pool, self._redis, self._objects)
        remover = Remover(pool, self._objects, self._settings)

        def after(seconds: float) -> Callable[[], Awaitable[None]]:
            return lambda: asyncio.sleep(seconds)

        chores: list[tuple[str, Callable[[], Awaitable[Any]], Callable[[], Awaitable[None]]]] = [
            ("reconcile", reconciler.step, after(RECONCILE_SECONDS)),
            ("status", lambda: statuses.refresh(pool), after(STATUS_SECONDS)),
            ("retention", lambda: forget_old(pool, self._settings.keep_days), after(RETENTION_SECONDS)),
            ("remove", remover.step, after(REMOVE_SECONDS)),
            ("erase", eraser.step, lambda: self._wakeups.wait("erase", ERASE_SECONDS)),
        ]

        def mine(step: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[None]]:
            async def when_taken() -> None:
                await lease.taken()
                await step()

            return when_taken

        return [asyncio.create_task(forever(name, mine(step), wait)) for name, step, wait in chores]

    def _lease(self, name: str, wanted: Callable[[Connection], Awaitable[bool]]) -> Lease:
        lease = Lease(name, self._presence.id, lambda: self._presence.valid, wanted)
        self._presence.leases.append(lease)
        return lease

    async def _hand_over(self, pool: Pool, *leases: Lease) -> None:
        """Give the leases back; without the database they lapse."""
        try:
            async with pool.connection() as connection:
                for lease in leases:
                    await lease.close(connection)
        except LOST as error:
            log.warning("leases not given back, the database is unreachable", error=str(error))

    async def _introduce(self, bot: Bot) -> None:
        """Check the token, and tell Telegram the commands."""
        try:
            await bot.get_me()
        except TelegramUnauthorizedError:
            raise refused_token() from None
        self._token_known = True
        await set_commands(bot)

    async def _check(self, services: Services, poller: Poller, webhook: Webhook | None) -> Checks:
        checks = await _states(services)
        checks["telegram"] = "ok" if self._token_known else "getMe does not succeed"
        if poller.late:
            checks["telegram"] = "getUpdates does not succeed"
        if webhook:
            checks["webhook"] = "ok" if webhook.listening else "not listening"
        checks["presence"] = "ok" if self._presence.valid else "not renewed in time"
        if self._draining:
            checks["process"] = "draining"
        return checks

    def _services(self, pool: Pool) -> Services:
        redis, redis_threads = connect_redis(self._settings, **ONCE), Threads("redis-check")
        objects_threads = Threads("objects-check")
        return {
            "database": Probe(lambda: _answers(pool)),
            "redis": Probe(lambda: redis_threads.run(redis.ping)),
            "objects": Probe(lambda: objects_threads.run(self._objects.check)),
        }


def dispatcher(loaded: Settings) -> Dispatcher:
    """Return aiogram's dispatcher with every router, in the order in which they are asked."""
    result = Dispatcher(settings=loaded, rights=Rights(), disable_fsm=True)
    result.include_routers(
        recordings.router, commands.router, privacy.router, languages.router, others.router
    )
    without_threads(result)
    return result


async def set_commands(bot: Bot) -> None:
    """Tell Telegram the commands, so that clients offer them."""
    for interface, described in texts.COMMANDS.items():
        listed = [BotCommand(command=command, description=text) for command, text in described.items()]
        try:
            await bot.set_my_commands(listed, language_code=None if interface == "en" else interface)
        except (TelegramBadRequest, TelegramNotFound) as error:
            log.warning("the Bot API server refuses the list of commands", error=error.message)


async def _reachable(address: str) -> None:
    """Check the database and its schema.

    Raises:
        ServiceError: it cannot be reached, or its schema is older than this release.
    """
    try:
        async with await connect_async(address) as connection:
            await connection.run(bots.probe())
    except psycopg.errors.UndefinedTable:
        raise ServiceError("the database lacks this release's schema: run `aisha migrate`") from None
    except LOST as error:
        raise ServiceError(f"cannot reach the database of AISHA_DATABASE_URL: {error}") from None


async def _answers(pool: Pool) -> None:
    async with pool.connection(timeout=5) as connection:
        await connection.run(inbox.probe())


async def _states(services: Services) -> Checks:
    states = await asyncio.gather(*(probe.state() for probe in services.values()))
    return dict(zip(services, states, strict=True))


async def _always(_: Connection) -> bool:
    return True


async def _at_once() -> None:
    await asyncio.sleep(0)


@click.command("bot")
def bot_command() -> None:
    """Run the bot: receive, store, queue and deliver."""
    loaded = settings.load()
    logs.configure(loaded, "bot")
    uvloop.run(BotProcess(loaded).run())
    leave()
