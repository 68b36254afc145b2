"""Named locks.

A session's lock ends the moment its holder's connection does, so whoever finds the lock of a started piece of work free
knows that nobody is doing it. Keepalives bound that moment when a whole host vanishes.
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
    """Let go of a session's lock."""
    return Statement(f"SELECT pg_advisory_unlock({KEY})", {"name": name})


def acquire_for_transaction(name: str) -> Statement[None]:
    """Wait for a lock and keep it until the transaction ends."""
    return Statement(f"SELECT pg_advisory_xact_lock({KEY})", {"name": name})


def try_acquire_for_transaction(name: str) -> Statement[bool]:
    """Take a lock until the transaction ends, unless another session has it; tell whether it was taken."""
    return Statement(f"SELECT pg_try_advisory_xact_lock({KEY})", {"name": name})


@asynccontextmanager
async def locked(pool: Pool, name: str) -> AsyncIterator[Connection | None]:
    """Hold the lock of that name over one connection, which is given; give None when another holds it."""
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
