"""Connections to PostgreSQL: a pool for the bot's event loop, single ones for workers, and named locks.

A lock is a session's: it ends the moment its holder's connection does, so whoever finds the lock of a started piece
of work free knows that nobody is doing it. Keepalives bound that moment when a whole host vanishes.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import structlog
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

CHANNEL = "aisha"
KEEPALIVE: dict[str, Any] = {
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "connect_timeout": 5,
}
# WAL is written in order: a commit that waits for the disk takes all earlier ones with it. So only those wait that
# must be durable before something happens outside, such as acknowledging an update; the others save their 2 ms each.
RELAXED = {"options": "-c synchronous_commit=off"}
DURABLE = "SET LOCAL synchronous_commit TO on"
LOCK = "pg_try_advisory_lock(hashtextextended(%s, 0))"
UNLOCK = "pg_advisory_unlock(hashtextextended(%s, 0))"

LOST = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout)
"""What a database that went away raises; anything else psycopg raises is a mistake of ours."""

Connection = psycopg.AsyncConnection[DictRow]
Pool = AsyncConnectionPool[Connection]
log = structlog.get_logger(__name__)


def open_pool(url: str, size: int, name: str, admit: Callable[[Connection], Awaitable[None]]) -> Pool:
    """Return a pool of autocommit connections that is to be opened with `async with`.

    Sessions carry `name`, and `admit` is asked about each new one before it is used.
    """
    return AsyncConnectionPool(
        url,
        min_size=4,
        max_size=size,
        kwargs={
            "autocommit": True,
            "row_factory": dict_row,
            "application_name": name,
            **KEEPALIVE,
            **RELAXED,
        },
        configure=admit,
        check=AsyncConnectionPool.check_connection,
        timeout=10,
        reconnect_timeout=0,
        open=False,
    )


async def connect_async(url: str, **options: Any) -> Connection:
    """Return one autocommit connection, for an event loop."""
    return await psycopg.AsyncConnection.connect(
        url, autocommit=True, row_factory=dict_row, **KEEPALIVE, **options
    )


def connect(url: str, **options: Any) -> psycopg.Connection[DictRow]:
    """Return one autocommit connection, for a process without an event loop."""
    return psycopg.connect(url, autocommit=True, row_factory=dict_row, **KEEPALIVE, **options)


@asynccontextmanager
async def locked(pool: Pool, name: str) -> AsyncIterator[Connection | None]:
    """Hold the lock of that name over one connection, which is given; give None when another holds it."""
    async with pool.connection() as connection:
        row = await (await connection.execute(f"SELECT {LOCK} AS got", [name])).fetchone()
        if not row or not row["got"]:
            yield None
            return
        try:
            yield connection
            await connection.execute(f"SELECT {UNLOCK}", [name])
        except BaseException:
            await connection.close()  # a connection that returned to the pool would keep the lock
            raise


class Wakeups:
    """Events that other processes and loops set through NOTIFY, one per stage of the message path.

    1. `listen` keeps one connection open and sets a stage's event at each notification.
    2. A lost connection is opened again, and then every event is set once, since notifications may have been missed.
    """

    def __init__(self, url: str, stages: tuple[str, ...]) -> None:
        self._url = url
        self._events = {stage: asyncio.Event() for stage in stages}

    def wake(self, stage: str) -> None:
        """Wake a stage of this process."""
        self._events[stage].set()

    async def wait(self, stage: str, seconds: float) -> None:
        """Return when the stage was woken, or after so many seconds."""
        event = self._events[stage]
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            pass
        event.clear()

    async def listen(self) -> None:
        """Set events as notifications come, until cancelled."""
        while True:
            try:
                await self._listen_once()
            except psycopg.Error as error:
                log.warning("notifications interrupted", error=str(error))
                await asyncio.sleep(0.5)

    async def _listen_once(self) -> None:
        async with await connect_async(self._url) as connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            for event in self._events.values():
                event.set()
            async for notification in connection.notifies():
                if notification.payload in self._events:
                    self._events[notification.payload].set()


async def notify(connection: Connection, stage: str) -> None:
    """Wake a stage of every bot when this transaction commits."""
    await connection.execute("SELECT pg_notify(%s, %s)", [CHANNEL, stage])
