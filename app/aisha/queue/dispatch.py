"""Gives jobs from PostgreSQL to Redis: few at a time, and fairly among users."""

import asyncio
from typing import Any

import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue

from aisha import metrics
from aisha.database.connect import Pool
from aisha.queue.lanes import LANES, queues

log = structlog.get_logger(__name__)

JOB_FUNCTION = "aisha.transcribe.jobs.run"
"""Redis carries this path, and workers of the release before `aisha.work` know no other: they serve beside new bots
in a roll, and again after a rollback. The release after this one writes `aisha.work.jobs.run`; `aisha.transcribe` goes
one release later still, when no worker or job in Redis has the old path any more.
"""

JOB_TIMEOUT_FLOOR = 300
RESULT_SECONDS = 60
# A lane holds twice what the workers do at once: enough that none idles, few enough that a newcomer is soon served.
DEPTH = """
    SELECT greatest(2 * coalesce(sum(concurrency), 0), 4) AS depth FROM workers
    WHERE seen_at > now() - interval '45 seconds'
"""
# A user's n-th job counts as n-th also when the ones before it are queued or running, so turns go round the users.
TAKE = """
    UPDATE jobs SET state = 'queued', queued_at = now(), dispatches = dispatches + 1
    WHERE state = 'waiting' AND id IN (
        SELECT id FROM (
            SELECT id, state, not_before,
                   row_number() OVER (PARTITION BY user_id ORDER BY state = 'waiting', id) AS turn
            FROM jobs WHERE lane = %(lane)s AND state <> 'done'
        ) AS turns
        WHERE state = 'waiting' AND not_before <= now() ORDER BY turn, id
        LIMIT greatest(0, %(depth)s - (SELECT count(*) FROM jobs WHERE lane = %(lane)s AND state = 'queued')))
    RETURNING id, dispatches, seconds, lane, message
"""
MARK_MESSAGES = "UPDATE messages SET queued_at = coalesce(queued_at, now()) WHERE id = ANY(%s)"


class Dispatcher:
    """Keeps each lane in Redis filled from PostgreSQL.

    1. Under a lock, waiting jobs are chosen by turn and committed as `queued`.
    2. Only then are they given to Redis. A crash in between is the reconciler's to find.
    """

    def __init__(self, pool: Pool, redis: Redis) -> None:
        self._pool = pool
        self._queues = dict(zip(LANES, queues(redis), strict=True))

    async def step(self) -> None:
        """Fill every lane."""
        for lane in LANES:
            if taken := await self._take(lane):
                await self._enqueue(self._queues[lane], taken)

    async def _take(self, lane: str) -> list[dict[str, Any]]:
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('dispatch', 0))")
            depth = await (await connection.execute(DEPTH)).fetchone()
            assert depth
            taken = await (await connection.execute(TAKE, {"lane": lane, "depth": depth["depth"]})).fetchall()
            if taken:
                await connection.execute(MARK_MESSAGES, [[job["message"] for job in taken]])
        return sorted(taken, key=lambda job: int(job["id"]))

    async def _enqueue(self, queue: Queue, taken: list[dict[str, Any]]) -> None:
        try:
            await asyncio.to_thread(_enqueue_all, queue, taken)
        except RedisError as error:
            log.warning("Redis took no jobs; the reconciler will give them again", error=str(error))
        metrics.DISPATCHED.labels(queue.name).inc(len(taken))


def rq_id(job: dict[str, Any]) -> str:
    """Return the RQ id of one dispatch of a job; each dispatch has its own."""
    return f"{job['id']}-{job['dispatches']}"


def job_timeout(seconds: float | None) -> int:
    """Return after how many seconds RQ stops a job: far beyond what the slowest host takes for such audio."""
    return JOB_TIMEOUT_FLOOR + int((seconds or 4 * 3600) * 2)


def _enqueue_all(queue: Queue, taken: list[dict[str, Any]]) -> None:
    queue.enqueue_many(
        [
            Queue.prepare_data(
                JOB_FUNCTION,
                args=[job["id"]],
                job_id=rq_id(job),
                timeout=job_timeout(job["seconds"]),
                result_ttl=0,
                failure_ttl=RESULT_SECONDS,
                description=f"job {job['id']} of message {job['message']}",
            )
            for job in taken
        ]
    )
