"""Forgets what is no longer needed: raw updates are private and everything else would grow for ever."""

import structlog

from aisha.database import inbox, jobs, outbox, workers
from aisha.database.connect import Pool

log = structlog.get_logger(__name__)

# Messages and their texts stay: they answer repeats.
FORGET = {"inbox": inbox.forget, "outbox": outbox.forget, "jobs": jobs.forget, "workers": workers.forget}


async def forget_old(pool: Pool) -> None:
    """Delete old rows of every table that keeps rows only for a while."""
    async with pool.connection() as connection:
        for table, forget in FORGET.items():
            if count := await connection.run(forget()):
                log.info("old rows forgotten", table=table, count=count)
