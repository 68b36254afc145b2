"""The table `jobs`: the decoding of a whole recording (no segment) or of one segment of a long one.

waiting ──▶ queued ──▶ started ──▶ done
   ▲          │           │
   └──────────┴───────────┘  forgotten by Redis; abandoned by a dead work-horse; given back by a living worker
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from psycopg.rows import class_row, dict_row, tuple_row
from psycopg.types.json import Jsonb

from aisha.database.erasures import Erasure
from aisha.database.statement import Statement, columns

State = Literal["waiting", "queued", "started", "done"]
Lane = Literal["short", "long"]


SERVED = """
    (SELECT lane, user_id, (SELECT max(queued_at) FROM jobs AS past
                            WHERE past.lane = open.lane AND past.user_id = open.user_id) AS served_at
     FROM (SELECT DISTINCT lane, user_id FROM jobs WHERE state <> 'done') AS open) AS served
"""
"""When each user of a lane had the last turn."""


@dataclass(frozen=True, slots=True)
class Job:
    """A row."""

    id: int
    message: int
    segment: int | None
    user_id: int
    lane: Lane
    seconds: float | None
    object_key: str
    starts_at: float
    overlap: float
    state: State
    attempts: int
    dispatches: int
    not_before: datetime
    worker: str | None
    transcript: dict[str, Any] | None
    decode_seconds: float | None
    error: str | None
    created_at: datetime
    queued_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Dispatch:
    """A job that is given to Redis; `dispatches` counts how often."""

    id: int
    dispatches: int
    seconds: float | None
    lane: Lane
    message: int


@dataclass(frozen=True, slots=True)
class Loss:
    """A job that went back to `waiting`, and how often it was started."""

    message: int
    attempts: int


@dataclass(frozen=True, slots=True)
class Open:
    """A job that is not done, or a recording that has none yet; `elapsed` tells for how many seconds it has run.

    `since` tells for how many seconds its sender has been waiting for a turn: since then or since the last one.
    `seconds` is an estimate where nobody has declared a duration. A long recording is `uncut` until all of its segments
    are jobs of their own; while it is cut, `seconds` is what is left.
    """

    message: int
    user_id: int
    lane: Lane
    state: State | Literal["received"]
    seconds: float
    elapsed: float
    since: float
    uncut: bool


SERVER_BEGAN = "greatest(pg_postmaster_start_time(), (SELECT stats_reset FROM pg_stat_bgwriter))"


def lock_name(job: int) -> str:
    """Return the name of the lock that a work-horse holds while it does a job."""
    return f"job:{job}"


def add(
    message: int,
    user_id: int,
    lane: Lane,
    seconds: float | None,
    object_key: str,
    *,
    segment: int | None = None,
    starts_at: float = 0,
    overlap: float = 0,
) -> Statement[None]:
    """Add a job, unless the message has it already."""
    return Statement(
        """
        INSERT INTO jobs (message, segment, user_id, lane, seconds, object_key, starts_at, overlap)
        VALUES (%(message)s, %(segment)s, %(user_id)s, %(lane)s, %(seconds)s, %(key)s, %(starts_at)s, %(overlap)s)
        ON CONFLICT DO NOTHING
        """,
        {
            "message": message,
            "segment": segment,
            "user_id": user_id,
            "lane": lane,
            "seconds": seconds,
            "key": object_key,
            "starts_at": starts_at,
            "overlap": overlap,
        },
        wakes=("dispatch",),
    )


def take(lane: Lane, depth: int) -> Statement[Dispatch]:
    """Queue as many waiting jobs of a lane as it has room for, round-robin over the users.

    A user's n-th job gets the n-th turn even if the jobs before it are already queued or running. Of several users
    with the same turn the one goes first who has waited longest, since the last turn or since coming.
    """
    return Statement(
        f"""
        UPDATE jobs SET state = 'queued', queued_at = now(), dispatches = dispatches + 1
        WHERE state = 'waiting' AND id IN (
            SELECT id FROM (
                SELECT id, state, not_before, greatest(created_at, served_at) AS since,
                       row_number() OVER (PARTITION BY user_id ORDER BY state = 'waiting', id) AS turn
                FROM jobs JOIN {SERVED} USING (lane, user_id) WHERE lane = %(lane)s AND state <> 'done'
            ) AS turns
            WHERE state = 'waiting' AND not_before <= now() ORDER BY turn, since, id
            LIMIT greatest(0, %(depth)s - (SELECT count(*) FROM jobs WHERE lane = %(lane)s AND state = 'queued')))
        RETURNING {columns(Dispatch)}
        """,
        {"lane": lane, "depth": depth},
        class_row(Dispatch),
    )


def claim(job: int, worker: str) -> Statement[Job]:
    """Start a queued job; no row when it was started before or is no longer queued."""
    return Statement(
        f"""
        UPDATE jobs SET state = 'started', started_at = now(), attempts = attempts + 1, worker = %(worker)s
        WHERE id = %(id)s AND state = 'queued' RETURNING {columns(Job)}
        """,
        {"id": job, "worker": worker},
        class_row(Job),
    )


def done(
    job: int, transcript: dict[str, Any] | None = None, decode_seconds: float | None = None
) -> Statement[None]:
    """End a job; a segment keeps its transcript until all are joined."""
    return Statement(
        """
        UPDATE jobs SET state = 'done', finished_at = now(), transcript = %(transcript)s,
            decode_seconds = %(decode_seconds)s
        WHERE id = %(id)s AND state = 'started'
        """,
        {
            "id": job,
            "transcript": None if transcript is None else Jsonb(transcript),
            "decode_seconds": decode_seconds,
        },
        wakes=("dispatch",),
    )


def forgotten(job: int, dispatches: int) -> Statement[Loss]:
    """Put back a queued job that Redis has lost, unless it was given to Redis again meanwhile."""
    return _returned(job, "queued", "forgotten", dispatches=dispatches)


def abandoned(job: int) -> Statement[Loss]:
    """Put back a started job whose work-horse died; each death makes the next wait longer, up to a minute.

    If PostgreSQL has restarted since the job was started, the work-horse has lost its session by that, so it counts no
    attempt. A crash of one backend restarts them all and resets the statistics, but leaves the postmaster as it is.
    """
    return _returned(job, "started", "abandoned", uncounted=f"(started_at < {SERVER_BEGAN})::int")


def given_back(job: int, error: str, seconds: float = 0) -> Statement[Loss]:
    """Put a started job that its own worker could not finish back for `seconds`, without counting an attempt."""
    return _returned(job, "started", error, uncounted="1", seconds=seconds)


def _returned(
    job: int,
    state: State,
    error: str,
    *,
    dispatches: int | None = None,
    uncounted: str = "0",
    seconds: float | None = None,
) -> Statement[Loss]:
    return Statement(
        f"""
        UPDATE jobs SET state = 'waiting', error = %(error)s, attempts = attempts - {uncounted},
            not_before = now() + make_interval(
                secs => coalesce(%(seconds)s, least(5 * greatest(attempts - 1, 0) ^ 2, 60)))
        WHERE id = %(id)s AND state = %(state)s AND dispatches = coalesce(%(dispatches)s, dispatches)
        RETURNING {columns(Loss)}
        """,
        {
            "id": job,
            "state": state,
            "error": error,
            "dispatches": dispatches,
            "seconds": seconds,
        },
        class_row(Loss),
        wakes=("dispatch",),
    )


def give_up(message: int, error: str) -> Statement[None]:
    """End all jobs of a message that has killed too many work-horses."""
    return Statement(
        """
        UPDATE jobs SET state = 'done', finished_at = now(), error = %(error)s
        WHERE message = %(message)s AND state <> 'done'
        """,
        {"message": message, "error": error},
    )


def drop(message: int) -> Statement[None]:
    """Delete all jobs of a message that starts over."""
    return Statement("DELETE FROM jobs WHERE message = %(message)s", {"message": message})


def of(message: int) -> Statement[Job]:
    """Select all jobs of a message: the whole recording's, then its segments' in order."""
    sql = f"SELECT {columns(Job)} FROM jobs WHERE message = %(message)s ORDER BY segment NULLS FIRST"
    return Statement(sql, {"message": message}, class_row(Job))


def queued() -> Statement[Dispatch]:
    """Select the jobs that should have been in a lane of Redis for two seconds."""
    return Statement(
        f"""
        SELECT {columns(Dispatch)} FROM jobs
        WHERE state = 'queued' AND queued_at < now() - interval '2 seconds'
        """,
        rows=class_row(Dispatch),
    )


def started() -> Statement[int]:
    """Select the ids of the jobs that a work-horse should have been doing for a second."""
    sql = "SELECT id FROM jobs WHERE state = 'started' AND started_at < now() - interval '1 second'"
    return Statement(sql)


def unfinished(worker: str) -> Statement[int]:
    """Select the ids of the jobs that a worker has started and not finished."""
    sql = "SELECT id FROM jobs WHERE state = 'started' AND worker = %(worker)s ORDER BY id"
    return Statement(sql, {"worker": worker})


def open_in_order(short_bytes: int, short_seconds: int) -> Statement[Open]:
    """Select the jobs that run, those in Redis in its order, those that wait, and the recordings without a job.

    A recording without a job is in the lane that these limits give it, as `aisha.lanes.lane_of` says.
    """
    return Statement(
        f"""
        SELECT message, user_id, lane, state, seconds, elapsed, uncut,
            extract(epoch FROM now() - greatest(came_at, served_at))::float AS since
        FROM (
            SELECT jobs.message, jobs.user_id, jobs.lane, jobs.state, jobs.id,
                greatest(coalesce(jobs.seconds, declared_seconds, file_size / 16000.0, 60) - coalesce(
                    (SELECT sum(cut.seconds) FROM jobs AS cut WHERE jobs.segment IS NULL
                     AND cut.message = jobs.message AND cut.segment IS NOT NULL), 0), 0)::float AS seconds,
                CASE WHEN jobs.state = 'started' THEN extract(epoch FROM now() - jobs.started_at)
                     ELSE 0 END::float AS elapsed,
                jobs.segment IS NULL AND jobs.lane = 'long' AS uncut, jobs.created_at AS came_at,
                array_position(ARRAY['started', 'queued', 'waiting'], jobs.state) AS rank,
                CASE WHEN jobs.state = 'queued' THEN jobs.queued_at END AS queued_at
            FROM jobs JOIN messages ON messages.id = jobs.message WHERE jobs.state <> 'done'
            UNION ALL
            SELECT id, user_id, lane, 'received', id, coalesce(declared_seconds, file_size / 16000.0, 60), 0,
                lane = 'long', received_at, 4, NULL
            FROM messages, LATERAL (SELECT CASE WHEN coalesce(nullif(declared_seconds, 0) > %(short_seconds)s,
                                                        file_size > %(short_bytes)s)
                                    THEN 'long' ELSE 'short' END AS lane) AS lanes
            WHERE state = 'received'
        ) AS work LEFT JOIN {SERVED} USING (lane, user_id) ORDER BY rank, queued_at, id LIMIT 3000
        """,
        {"short_bytes": short_bytes, "short_seconds": short_seconds},
        class_row(Open),
    )


def pace() -> Statement[tuple[Lane, float]]:
    """Select each lane's time per second of audio, over the last hundred jobs that recognised something."""
    return Statement(
        """
        SELECT lane, (sum(took) / sum(seconds))::float FROM (
            SELECT lane, seconds, extract(epoch FROM finished_at - started_at) AS took FROM jobs
            WHERE state = 'done' AND decode_seconds IS NOT NULL AND seconds > 0 ORDER BY id DESC LIMIT 100
        ) AS latest GROUP BY lane
        """,
        rows=tuple_row,
    )


def unfinished_segments(user_id: int) -> Statement[tuple[int, int]]:
    """Count the segments that are not decoded yet: this user's, and all."""
    return Statement(
        """
        SELECT count(*) FILTER (WHERE user_id = %(user_id)s), count(*) FROM jobs
        WHERE segment IS NOT NULL AND state <> 'done'
        """,
        {"user_id": user_id},
        tuple_row,
    )


def segments(message: int) -> Statement[int]:
    """Select the numbers of a message's segments that are cut."""
    sql = "SELECT segment FROM jobs WHERE message = %(message)s AND segment IS NOT NULL"
    return Statement(sql, {"message": message})


def open_by_lane() -> Statement[dict[str, Any]]:
    """Count what is not done, by lane and state."""
    return Statement(
        "SELECT lane, state, count(*) FROM jobs WHERE state <> 'done' GROUP BY 1, 2 ORDER BY 1, 2",
        rows=dict_row,
    )


def empty() -> Statement[None]:
    """Empty the transcripts of segments that are joined."""
    return Statement(
        """
        UPDATE jobs SET transcript = NULL FROM messages WHERE messages.id = jobs.message AND transcript IS NOT NULL
        AND messages.state IN ('transcribed', 'delivered', 'undeliverable')
        """
    )


def cancel(erasure: Erasure) -> Statement[None]:
    """End all jobs of a person's messages."""
    return Statement(
        f"""
        UPDATE jobs SET state = 'done', finished_at = coalesce(finished_at, now()), transcript = NULL, error = NULL
        FROM messages WHERE messages.id = jobs.message AND {erasure.covers("messages")}
        AND (jobs.state <> 'done' OR transcript IS NOT NULL)
        """,
        erasure.values,
        wakes=("dispatch",),
    )


def forget() -> Statement[None]:
    """Delete the jobs of messages that have ended, after a week."""
    return Statement(
        """
        DELETE FROM jobs USING messages WHERE messages.id = jobs.message AND jobs.state = 'done'
        AND messages.state IN ('delivered', 'undeliverable') AND jobs.finished_at < now() - interval '7 days'
        """
    )
