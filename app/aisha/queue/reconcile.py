"""Finds jobs that were lost on the way and puts them back to waiting."""

import structlog
from redis import Redis
from rq import Queue

from aisha import metrics
from aisha.database import jobs, locks, messages
from aisha.database.connect import Connection, Pool
from aisha.database.jobs import Loss
from aisha.database.statement import Statement
from aisha.lanes import queues, rq_id
from aisha.threads import Threads

log = structlog.get_logger(__name__)

MAX_ATTEMPTS = 5


class Reconciler:
    """Compares the jobs in PostgreSQL with Redis and the locks.

    1. A job `queued` for two seconds must be in a lane of Redis. One that is missing twice in a row was lost: Redis
       forgot it, or its worker died before the work-horse began. If it begins after all, the job is claimed only once.
    2. A job `started` must have its lock held by a work-horse; else the work-horse is dead.
    3. Either goes back to `waiting`. One that has killed five work-horses ends its message with an apology.
    """

    def __init__(self, pool: Pool, redis: Redis) -> None:
        self._pool = pool
        self._queues = queues(redis)
        self._missing: set[str] = set()
        self._threads = Threads("reconcile")

    async def step(self) -> None:
        """Compare once.

        Raises:
            RedisError: Redis cannot say which jobs it has, so none counts as lost.
        """
        async with self._pool.connection() as connection:
            await self._find_forgotten(connection)
            await self._find_abandoned(connection)

    async def _find_forgotten(self, connection: Connection) -> None:
        queued = await connection.all(jobs.queued())
        carried = await self._threads.run(_carried, self._queues) if queued else set()
        given = {rq_id(job.id, job.dispatches): job for job in queued}
        missing = {name: job for name, job in given.items() if name not in carried}
        for name in missing.keys() & self._missing:
            job = missing[name]
            async with connection.transaction():
                await self._return(connection, job.id, "forgotten", jobs.forgotten(job.id, job.dispatches))
        self._missing = set(missing)

    async def _find_abandoned(self, connection: Connection) -> None:
        for job in await connection.all(jobs.started()):
            async with connection.transaction():
                if await connection.only(locks.try_acquire_for_transaction(jobs.lock_name(job))):
                    await self._return(connection, job, "abandoned", jobs.abandoned(job))

    async def _return(
        self, connection: Connection, job: int, reason: str, returning: Statement[Loss]
    ) -> None:
        lost = await connection.one(returning)
        if not lost:
            return
        metrics.RECONCILED.labels(reason).inc()
        log.warning("job returned to the queue", job=job, message=lost.message, reason=reason)
        if lost.attempts >= MAX_ATTEMPTS:
            error = f"{lost.attempts} work-horses died over it"
            log.error("message given up", message=lost.message, error=error)
            await connection.run(jobs.give_up(lost.message, error))
            await connection.run(messages.transcribed(lost.message, "failed", error=error))


def _carried(lanes: list[Queue]) -> set[str]:
    """Return the ids of the jobs that wait in any lane of Redis."""
    return {job_id for queue in lanes for job_id in queue.get_job_ids()}
