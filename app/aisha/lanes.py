"""The lanes of the queue: short voices never wait behind lectures."""

from typing import Any

from redis import Redis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.retry import Retry
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from aisha.database.jobs import Lane
from aisha.settings import Settings

LANES: tuple[Lane, ...] = ("short", "long")
"""In the order in which a worker serves them; one worker of each host serves only the first."""

SHORT_SECONDS = 60
SHORT_BYTES = 1024 * 1024
LEAST_DEPTH = 4


def lane_of(seconds: float | None, size: int) -> Lane:
    """Return the lane of a recording by its declared duration, or by its size in bytes when none is declared."""
    if seconds:
        return "short" if seconds <= SHORT_SECONDS else "long"
    return "short" if size <= SHORT_BYTES else "long"


def lane_depth(capacity: int) -> int:
    """Return how many jobs a lane of Redis holds: twice what the workers do at once, so that none of them idles.

    That is few enough to serve a newcomer soon.
    """
    return max(2 * capacity, LEAST_DEPTH)


ONCE: dict[str, Any] = {
    "socket_connect_timeout": 2,
    "socket_timeout": 2,
    "health_check_interval": 0,
    "retry": Retry(NoBackoff(), 0),
}
"""For a client that asks whether the server answers, and tries once."""


def connect(settings: Settings, **options: Any) -> Redis:
    """Return a client that notices a dead server within seconds; `options` are those of redis-py."""
    url = settings.secret("redis_url")
    encrypted = url.startswith("rediss:")
    own = {"ssl_ca_certs": str(settings.ca_file)} if encrypted and settings.ca_file else {}
    patient = {
        "socket_connect_timeout": 3,
        "health_check_interval": 15,
        "retry": Retry(ExponentialBackoff(cap=0.5, base=0.05), 2),
    }
    return Redis.from_url(url, socket_keepalive=True, **own, **(patient | options))


def queues(redis: Redis, lanes: tuple[Lane, ...] = LANES) -> list[Queue]:
    """Return the RQ queues of these lanes."""
    return [Queue(lane, connection=redis, serializer=JSONSerializer) for lane in lanes]


def rq_id(job: int, dispatches: int) -> str:
    """Return the RQ id of one dispatch of a job; each dispatch has its own."""
    return f"{job}-{dispatches}"


def take_out(redis: Redis, ids: list[str]) -> None:
    """Remove jobs from every lane, whether they wait there or not."""
    for queue in queues(redis):
        for name in ids:
            queue.remove(name)
    if ids:
        redis.delete(*map(Job.key_for, ids))
