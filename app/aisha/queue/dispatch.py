"""Gives jobs from PostgreSQL to Redis: few at a time, and fairly among users."""

import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue

from aisha import metrics
from aisha.database import jobs, locks, messages, workers
from aisha.database.connect import Pool
from aisha.database.jobs import Dispatch, Lane
from aisha.lanes import LANES, lane_depth, queues, rq_id
from aisha.threads import Threads

log = structlog.get_logger(__name__)

JOB_FUNCTION = "aisha.transcribe.jobs.run"
"""Redis carries this path, and workers of the release before `aisha.work` know no other: they serve beside new bots
in a roll, and again after a rollback. The release after this one writes `aisha.work.jobs.run`; `aisha.transcribe` is
removed one release later, when no worker or job in Redis has the old path any more.
"""

JOB_TIMEOUT_FLOOR = 300
RESULT_SECONDS = 60
LOCK = "dispatch"


class Dispatcher:
    """Keeps each lane in Redis filled from PostgreSQL.

    1. Under a lock, waiting jobs are chosen round-robin over the users and committed as `queued`.
    2. Only then are they given to Redis. After a crash in between, the reconciler finds them.
    """

    def __init__(self, pool: Pool, redis: Redis) -> None:
        self._pool = pool
        self._queues = dict(zip(LANES, queues(redis), strict=True))
        self._threads = Threads("dispatch")

    async def step(self) -> None:
        """Fill every lane."""
        for lane in LANES:
            if taken := await self._take(lane):
                await self._enqueue(self._queues[lane], taken)

    async def _take(self, lane: Lane) -> list[Dispatch]:
        async with self._pool.connection() as connection, connection.transaction():
            await connection.run(locks.acquire_for_transaction(LOCK))
            depth = lane_depth(await connection.only(workers.capacity()))
            taken = await connection.all(jobs.take(lane, depth))
            if taken:
                await connection.run(messages.queued([job.message for job in taken]))
        return sorted(taken, key=lambda job: job.id)

    async def _enqueue(self, queue: Queue, taken: list[Dispatch]) -> None:
        try:
            await self._threads.run(_enqueue_all, queue, taken)
        except RedisError as error:
            log.warning("Redis took no jobs; the reconciler will give them again", error=str(error))
        metrics.DISPATCHED.labels(queue.name).inc(len(taken))


def job_timeout(seconds: float | None) -> int:
    """Return RQ's timeout of a job in seconds: far beyond what the slowest host takes for such audio."""
    return JOB_TIMEOUT_FLOOR + int((seconds or 4 * 3600) * 2)


def _enqueue_all(queue: Queue, taken: list[Dispatch]) -> None:
    queue.enqueue_many(
        [
            Queue.prepare_data(
                JOB_FUNCTION,
                args=[job.id],
                job_id=rq_id(job.id, job.dispatches),
                timeout=job_timeout(job.seconds),
                result_ttl=0,
                failure_ttl=RESULT_SECONDS,
                description=f"job {job.id} of message {job.message}",
            )
            for job in taken
        ]
    )
