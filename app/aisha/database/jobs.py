"""The table `jobs`: the decoding of a whole recording (no segment) or of one segment of a long one.

waiting ──▶ queued ──▶ started ──▶ done
   ▲          │           │
   └──────────┴───────────┘  forgotten by Redis; abandoned by a dead work-horse; given back by a living worker
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from aisha.database.erasures import Erasure
from aisha.database.statement import Statement, columns

State = Literal["waiting", "queued", "started", "done"]
Lane = Literal["short", "long"]


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

    A user's n-th job gets the n-th turn even if the jobs before it are already queued or running.
    """
    return Statement(
        f"""
        UPDATE jobs SET state = 'queued', queued_at = now(), dispatches = dispatches + 1
        WHERE state = 'waiting' AND id IN (
            SELECT id FROM (
                SELECT id, state, not_before,
                       row_number() OVER (PARTITION BY user_id ORDER BY state = 'waiting', id) AS turn
                FROM jobs WHERE lane = %(lane)s AND state <> 'done'
            ) AS turns
            WHERE state = 'waiting' AND not_before <= now() ORDER BY turn, id
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
    """Put back a started job whose work-horse died; each death makes the next wait longer, up to a minute."""
    return _returned(job, "started", "abandoned")


def given_back(job: int, error: str, seconds: float = 0) -> Statement[Loss]:
    """Put a started job that its own worker could not finish back for `seconds`, without counting an attempt."""
    return _returned(job, "started", error, uncounted=1, seconds=seconds)


def _returned(
    job: int,
    state: State,
    error: str,
    *,
    dispatches: int | None = None,
    uncounted: int = 0,
    seconds: float | None = None,
) -> Statement[Loss]:
    return Statement(
        f"""
        UPDATE jobs SET state = 'waiting', error = %(error)s, attempts = attempts - %(uncounted)s,
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
            "uncounted": uncounted,
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
