"""Connections to PostgreSQL, which run statements: a pool for the bot's event loop, single ones for workers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import structlog
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from aisha.database.statement import Row, Statement

CHANNEL = "aisha"
NOTIFY = "SELECT pg_notify(%s, %s)"
IDLE, INTERVAL, COUNT, SILENT = 5, 3, 3, 15_000
"""Seconds of silence before the first keepalive, seconds between them, how many; milliseconds until the end."""

KEEPALIVE: dict[str, Any] = {
    "keepalives_idle": IDLE,
    "keepalives_interval": INTERVAL,
    "keepalives_count": COUNT,
    "tcp_user_timeout": SILENT,
    "connect_timeout": 5,
}
SERVER_KEEPALIVE = (
    f"-c tcp_keepalives_idle={IDLE} -c tcp_keepalives_interval={INTERVAL} -c tcp_keepalives_count={COUNT}"
    f" -c tcp_user_timeout={SILENT}"
)
"""The same for the server's end: a host that vanishes keeps its locks until the server notices. None of this applies to
a UNIX socket, whose ends share a host.
"""

# WAL is written in order: a commit that waits for the disk makes all earlier ones durable too. So a commit waits only
# if it must be durable before something happens outside, such as acknowledging an update (`Connection.durable`); the
# others save 2 ms each.
RELAXED = "-c synchronous_commit=off"

LOST = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout)
"""What is raised when the database is unreachable; anything else that psycopg raises is a bug."""

log = structlog.get_logger(__name__)


class Connection(psycopg.AsyncConnection[DictRow]):
    """A session of an event loop."""

    async def one(self, statement: Statement[Row]) -> Row | None:
        """Run a statement and return its first row."""
        return await (await self._ran(statement)).fetchone()

    async def only(self, statement: Statement[Row]) -> Row:
        """Run a statement that always gives a row, and return that."""
        row = await self.one(statement)
        assert row is not None
        return row

    async def all(self, statement: Statement[Row]) -> list[Row]:
        """Run a statement and return its rows."""
        return await (await self._ran(statement)).fetchall()

    async def run(self, statement: Statement[Any]) -> int:
        """Run a statement and return how many rows it found or changed."""
        return (await self._ran(statement)).rowcount

    async def run_each(self, statements: Sequence[Statement[Any]]) -> int:
        """Run one statement with the values of each, in one round trip; return how many rows were changed."""
        async with self.cursor() as cursor:
            await cursor.executemany(statements[0].sql, [statement.values for statement in statements])
            return max(cursor.rowcount, 0)

    @asynccontextmanager
    async def durable(self) -> AsyncIterator[None]:
        """Run a transaction whose commit waits for the disk."""
        async with self.transaction():
            await self.execute("SET LOCAL synchronous_commit TO on")
            yield

    async def _ran(self, statement: Statement[Row]) -> psycopg.AsyncCursor[Row]:
        cursor = self.cursor(row_factory=statement.rows)
        await cursor.execute(statement.sql, statement.values)
        for stage in statement.wakes if cursor.rowcount else ():
            await self.execute(NOTIFY, [CHANNEL, stage])
        return cursor


class BlockingConnection(psycopg.Connection[DictRow]):
    """A `Connection` for a process without an event loop."""

    def one(self, statement: Statement[Row]) -> Row | None:
        """Run a statement and return its first row."""
        return self._ran(statement).fetchone()

    def only(self, statement: Statement[Row]) -> Row:
        """Run a statement that always gives a row, and return that."""
        row = self.one(statement)
        assert row is not None
        return row

    def all(self, statement: Statement[Row]) -> list[Row]:
        """Run a statement and return its rows."""
        return self._ran(statement).fetchall()

    def run(self, statement: Statement[Any]) -> int:
        """Run a statement and return how many rows it found or changed."""
        return self._ran(statement).rowcount

    def _ran(self, statement: Statement[Row]) -> psycopg.Cursor[Row]:
        cursor = self.cursor(row_factory=statement.rows)
        cursor.execute(statement.sql, statement.values)
        for stage in statement.wakes if cursor.rowcount else ():
            self.execute(NOTIFY, [CHANNEL, stage])
        return cursor


SESSION: dict[str, Any] = {
    "autocommit": True,
    "row_factory": dict_row,
    "options": SERVER_KEEPALIVE,
    **KEEPALIVE,
}
Pool = AsyncConnectionPool[Connection]


def open_pool(url: str, size: int, name: str, admit: Callable[[Connection], Awaitable[None]]) -> Pool:
    """Return a pool of autocommit connections that is to be opened with `async with`.

    Sessions carry `name` as application_name, and `admit` checks each new one before it is used.
    """
    return AsyncConnectionPool(
        url,
        connection_class=Connection,
        min_size=4,
        max_size=size,
        kwargs={**SESSION, "application_name": name, "options": f"{SERVER_KEEPALIVE} {RELAXED}"},
        configure=admit,
        check=AsyncConnectionPool.check_connection,
        timeout=10,
        reconnect_timeout=0,
        open=False,
    )


async def connect_async(url: str, **options: Any) -> Connection:
    """Return one autocommit connection, for an event loop."""
    return await Connection.connect(url, **SESSION, **options)


def connect(url: str, *, relaxed: bool = False) -> BlockingConnection:
    """Return one autocommit connection, for a process without an event loop; `relaxed` commits are durable later."""
    own = {"options": f"{SERVER_KEEPALIVE} {RELAXED}"} if relaxed else {}
    return BlockingConnection.connect(url, **(SESSION | own))


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
        """Return when the stage is woken, or after `seconds`."""
        event = self._events[stage]
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            pass
        event.clear()

    async def listen(self) -> None:
        """Set events as notifications arrive, until cancelled."""
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
