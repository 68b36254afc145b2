"""Forgets what is no longer needed: raw updates are private and everything else would grow for ever."""

import structlog

from aisha.database import inbox, jobs, messages, outbox, workers
from aisha.database.connect import Connection, Pool
from aisha.database.statement import Statement

log = structlog.get_logger(__name__)

FORGET = {"inbox": inbox.forget, "outbox": outbox.forget, "jobs": jobs.forget, "workers": workers.forget}
BATCH = 500


async def forget_old(pool: Pool, keep_days: int) -> None:
    """Delete old rows of every table, and what is kept twice of the others."""
    async with pool.connection() as connection:
        for table, forget in FORGET.items():
            if count := await connection.run(forget()):
                log.info("old rows forgotten", table=table, count=count)
        await _in_batches(connection, "messages", messages.expire(keep_days, BATCH))
        await _in_batches(connection, "texts of outbox", outbox.empty(BATCH))
        await connection.run(jobs.empty())
        await _pack_words(connection)


async def _in_batches(connection: Connection, what: str, statement: Statement[None]) -> None:
    """Run a statement of at most `BATCH` rows until it finds none: each time it holds locks for a moment only."""
    total = 0
    while count := await connection.run(statement):
        total += count
    if total:
        log.info("old rows forgotten", table=what, count=total)


async def _pack_words(connection: Connection) -> None:
    """Turn the words that releases before have written into times."""
    after = 0
    while rows := await connection.all(messages.with_words(after, BATCH)):
        for row in rows:
            await connection.run(messages.pack_words(row))
        after = rows[-1].id
