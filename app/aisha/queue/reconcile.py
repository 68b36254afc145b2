"""Finds the jobs that were lost on the way and gives them back to the queue."""

import asyncio

import structlog
from redis import Redis
from rq import Queue

from aisha import metrics
from aisha.database.connect import LOCK, Connection, Pool, notify
from aisha.lanes import queues
from aisha.queue.dispatch import rq_id

log = structlog.get_logger(__name__)

MAX_ATTEMPTS = 5
QUEUED = "SELECT id, dispatches FROM jobs WHERE state = 'queued' AND queued_at < now() - interval '2 seconds'"
STARTED = "SELECT id FROM jobs WHERE state = 'started' AND started_at < now() - interval '1 second'"
RETURN_JOB = """
    UPDATE jobs SET state = 'waiting', error = %(reason)s,
        not_before = now() + make_interval(secs => least(5 * greatest(attempts - 1, 0) ^ 2, 60))
    WHERE id = %(id)s AND state = %(state)s AND dispatches = coalesce(%(dispatches)s, dispatches)
    RETURNING message, attempts
"""
GIVE_UP = """
    UPDATE messages SET state = 'transcribed', transcribed_at = now(), outcome = 'failed', error = %s
    WHERE id = %s AND state IN ('stored', 'transcribing')
"""
END_JOBS = (
    "UPDATE jobs SET state = 'done', finished_at = now(), error = %s WHERE message = %s AND state <> 'done'"
)


class Reconciler:
    """Compares what PostgreSQL believes with what is so.

    1. A job `queued` for two seconds must be in a lane of Redis. One that is missing twice in a row was lost: Redis
       forgot it, or its worker died before the work-horse began. Should it begin after all, the job is claimed once.
    2. A job `started` must have its lock held by a work-horse; else the work-horse is dead.
    3. Either returns to `waiting`. One that has killed five work-horses ends its message with an apology.
    """

    def __init__(self, pool: Pool, redis: Redis) -> None:
        self._pool = pool
        self._queues = queues(redis)
        self._missing: set[str] = set()

    async def step(self) -> None:
        """Look once.

        Raises:
            RedisError: Redis cannot say which jobs it has, so none is called lost.
        """
        async with self._pool.connection() as connection:
            await self._find_forgotten(connection)
            await self._find_abandoned(connection)

    async def _find_forgotten(self, connection: Connection) -> None:
        jobs = await (await connection.execute(QUEUED)).fetchall()
        carried = await asyncio.to_thread(_carried, self._queues) if jobs else set()
        missing = {rq_id(job): job for job in jobs if rq_id(job) not in carried}
        for name in missing.keys() & self._missing:
            job = missing[name]
            async with connection.transaction():
                await self._return(connection, job["id"], "queued", "forgotten", job["dispatches"])
        self._missing = set(missing)

    async def _find_abandoned(self, connection: Connection) -> None:
        for job in await (await connection.execute(STARTED)).fetchall():
            async with connection.transaction():
                free = await (
                    await connection.execute(
                        f"SELECT {LOCK.replace('lock(', 'xact_lock(')} AS got", [f"job:{job['id']}"]
                    )
                ).fetchone()
                if free and free["got"]:
                    await self._return(connection, job["id"], "started", "abandoned")

    async def _return(
        self, connection: Connection, job: int, state: str, reason: str, dispatches: int | None = None
    ) -> None:
        values = {"id": job, "state": state, "reason": reason, "dispatches": dispatches}
        row = await (await connection.execute(RETURN_JOB, values)).fetchone()
        if not row:
            return
        metrics.RECONCILED.labels(reason).inc()
        log.warning("job returned to the queue", job=job, message=row["message"], reason=reason)
        if row["attempts"] >= MAX_ATTEMPTS:
            error = f"{row['attempts']} work-horses died over it"
            log.error("message given up", message=row["message"], error=error)
            await connection.execute(END_JOBS, [error, row["message"]])
            await connection.execute(GIVE_UP, [error, row["message"]])
            await notify(connection, "answer")
        await notify(connection, "dispatch")


def _carried(lanes: list[Queue]) -> set[str]:
    """Return the ids of the jobs that wait in any lane of Redis."""
    return {job_id for queue in lanes for job_id in queue.get_job_ids()}
