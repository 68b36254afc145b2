"""Named locks.

A session's lock ends with its holder's connection, so work that was started and whose lock is free is being done by
nobody. Keepalives bound how long that takes to show when a whole host vanishes.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aisha.database.connect import Connection, Pool
from aisha.database.statement import Statement

KEY = "hashtextextended(%(name)s, 0)"


def acquire(name: str) -> Statement[None]:
    """Wait for a lock and keep it until the session ends or releases it."""
    return Statement(f"SELECT pg_advisory_lock({KEY})", {"name": name})


def try_acquire(name: str) -> Statement[bool]:
    """Take a lock as `acquire` does, unless another session has it; tell whether it was taken."""
    return Statement(f"SELECT pg_try_advisory_lock({KEY})", {"name": name})


def release(name: str) -> Statement[None]:
    """Release a session's lock."""
    return Statement(f"SELECT pg_advisory_unlock({KEY})", {"name": name})


def acquire_for_transaction(name: str) -> Statement[None]:
    """Wait for a lock and keep it until the transaction ends."""
    return Statement(f"SELECT pg_advisory_xact_lock({KEY})", {"name": name})


def try_acquire_for_transaction(name: str) -> Statement[bool]:
    """Take a lock until the transaction ends, unless another session has it; tell whether it was taken."""
    return Statement(f"SELECT pg_try_advisory_xact_lock({KEY})", {"name": name})


@asynccontextmanager
async def locked(pool: Pool, name: str) -> AsyncIterator[Connection | None]:
    """Hold the lock of that name and yield the connection that holds it, or None when another session does."""
    async with pool.connection() as connection:
        if not await connection.only(try_acquire(name)):
            yield None
            return
        try:
            yield connection
            await connection.run(release(name))
        except BaseException:
            await connection.close()  # a connection that returned to the pool would keep the lock
            raise
