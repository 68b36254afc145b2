"""Forgets what is no longer needed: raw updates are private and everything else would grow for ever."""

import structlog

from aisha.database.connect import Pool

log = structlog.get_logger(__name__)

# Telegram repeats an update for a day at most, so a week is ample. Messages and their texts stay: they answer repeats.
FORGET = {
    "inbox": "DELETE FROM inbox WHERE handled_at < now() - interval '7 days'",
    "outbox": """
        DELETE FROM outbox WHERE message IS NULL AND created_at < now() - interval '7 days'
        AND (shown = version OR failed_at IS NOT NULL)
    """,
    "jobs": """
        DELETE FROM jobs USING messages WHERE messages.id = jobs.message AND jobs.state = 'done'
        AND messages.state IN ('delivered', 'undeliverable') AND jobs.finished_at < now() - interval '7 days'
    """,
    "workers": "DELETE FROM workers WHERE seen_at < now() - interval '1 day'",
}


async def forget_old(pool: Pool) -> None:
    """Delete old rows of every table that keeps them for a while only."""
    async with pool.connection() as connection:
        for table, statement in FORGET.items():
            cursor = await connection.execute(statement)
            if cursor.rowcount:
                log.info("old rows forgotten", table=table, count=cursor.rowcount)
