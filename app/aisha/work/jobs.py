"""What a work-horse does with one job; runs in a process forked for it, and ends with that process."""

import io
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import psycopg
import structlog
from numpy.typing import NDArray
from psycopg.types.json import Jsonb

from aisha.database.connect import CHANNEL, LOCK, RELAXED, connect
from aisha.errors import (
    AudioError,
    EmptyFileError,
    NoModelError,
    NoSoundError,
    TooLongError,
    TooShortError,
    UnreadableFileError,
)
from aisha.settings import Settings
from aisha.speech.audio import blocks
from aisha.speech.engine import Recogniser
from aisha.speech.judge import judge
from aisha.speech.level import RATE
from aisha.speech.segment import LONGEST, WHOLE_BELOW, Segment, Splitter, target_length
from aisha.speech.transcript import Part, Transcript, join
from aisha.store.objects import UNREACHABLE, MissingObjectError, Objects
from aisha.work.report import Report

log = structlog.get_logger(__name__)

Connection = psycopg.Connection[dict[str, Any]]
RETRY_SECONDS = 2
NOT_FORKED = "a work-horse was not forked from `aisha worker`"
OUTCOMES: dict[type[AudioError], str] = {
    EmptyFileError: "empty",
    UnreadableFileError: "unreadable",
    NoSoundError: "no_sound",
    TooShortError: "too_short",
    TooLongError: "too_long",
    NoModelError: "no_model",
}
CLAIM = """
    UPDATE jobs SET state = 'started', started_at = now(), attempts = attempts + 1, worker = %(worker)s
    WHERE id = %(id)s AND state = 'queued' RETURNING *
"""
BEGIN = """
    UPDATE messages SET state = 'transcribing', started_at = coalesce(started_at, now())
    WHERE id = %s AND state IN ('stored', 'transcribing') RETURNING *
"""
WORKERS = """
    SELECT coalesce(sum(concurrency), 1)::int AS count FROM workers WHERE seen_at > now() - interval '45 seconds'
"""
HEARD = """
    SELECT count(*) > 0 AS heard FROM workers
    WHERE seen_at > now() - interval '1 hour' AND %s = ANY(languages)
"""
FIX_LENGTH = """
    UPDATE messages SET segment_seconds = coalesce(segment_seconds, %s) WHERE id = %s RETURNING segment_seconds
"""
ADD_SEGMENT = """
    INSERT INTO jobs (message, segment, user_id, lane, seconds, object_key, starts_at, overlap)
    VALUES (%(message)s, %(segment)s, %(user_id)s, 'long', %(seconds)s, %(key)s, %(starts_at)s, %(overlap)s)
    ON CONFLICT DO NOTHING
"""
END_JOB = """
    UPDATE jobs SET state = 'done', finished_at = now(), transcript = %s, decode_seconds = %s
    WHERE id = %s AND state = 'started'
"""
FETCH_AGAIN = """
    UPDATE messages SET state = 'received', error = %s, object_key = NULL, segments = NULL, segment_seconds = NULL,
        store_attempts = store_attempts + 1, store_after = now() + make_interval(secs => least(store_attempts, 60))
    WHERE id = %s AND state = 'transcribing'
"""
RETURN_JOB = """
    UPDATE jobs SET state = 'waiting', attempts = attempts - 1, error = %s,
                    not_before = now() + make_interval(secs => %s)
    WHERE id = %s AND state = 'started'
"""
UNFINISHED = "SELECT id FROM jobs WHERE state = 'started' AND worker = %s ORDER BY id"
LOCK_JOB = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
SEGMENTS = """
    SELECT starts_at, overlap, transcript, object_key, state FROM jobs
    WHERE message = %s AND segment IS NOT NULL ORDER BY segment
"""
TRANSCRIBED = """
    UPDATE messages SET state = 'transcribed', transcribed_at = now(), outcome = %(outcome)s, text = %(text)s,
        words = %(words)s, audio_seconds = %(seconds)s, complete = %(complete)s, error = %(error)s
    WHERE id = %(id)s AND state IN ('stored', 'transcribing')
"""


@dataclass(frozen=True)
class Horse:
    """What every work-horse inherits from the worker's parent."""

    settings: Settings
    recognisers: dict[str, Recogniser]
    objects: Objects
    report: Report
    worker: str


_inherited: Horse | None = None
_connected_ahead: Connection | None = None


def inherit(horse: Horse) -> None:
    """Keep what the work-horses that are forked from this process shall find."""
    global _inherited
    _inherited = horse


def connect_ahead() -> None:
    """Connect to the database before there is a job; the job tries again when that fails."""
    global _connected_ahead
    with suppress(psycopg.Error):
        _connected_ahead = _connect()


def run(job_id: int) -> None:
    """Do a job, unless somebody does it or has done it.

    A failure of a service returns the job to the queue; it is no attempt. A file that cannot be transcribed ends its
    message with an outcome. Anything else leaves the job `started` without a lock: the reconciler returns it.
    """
    assert _inherited, NOT_FORKED
    _inherited.report.begin()
    with _connection() as connection:
        if not _one(connection, f"SELECT {LOCK} AS got", [f"job:{job_id}"])["got"]:
            return
        job = connection.execute(CLAIM, {"id": job_id, "worker": _inherited.worker}).fetchone()
        if not job:
            return
        message = connection.execute(BEGIN, [job["message"]]).fetchone()
        with structlog.contextvars.bound_contextvars(
            message=job["message"], job=job_id, segment=job["segment"]
        ):
            if message:
                Work(_inherited, connection, job, message).run()
            else:
                connection.execute(END_JOB, [None, None, job_id])


def return_unfinished(connection: Connection, worker: str) -> list[int]:
    """Give the jobs of a worker whose work-horses were killed back to the queue, as no attempt; return them."""
    unfinished = [row["id"] for row in connection.execute(UNFINISHED, [worker])]
    for job in unfinished:
        with connection.transaction():
            connection.execute(LOCK_JOB, [f"job:{job}"])  # free when the work-horse's session has ended
            connection.execute(RETURN_JOB, ["its worker was stopped", 0, job])
            connection.execute("SELECT pg_notify(%s, 'dispatch')", [CHANNEL])
    return unfinished


def _connection() -> Connection:
    """Return the connection that was made ahead if it still answers, else a new one."""
    if _connected_ahead:
        with suppress(psycopg.Error):
            _connected_ahead.execute("SELECT 1")
            return _connected_ahead
    return _connect()


def _connect() -> Connection:
    assert _inherited, NOT_FORKED
    return connect(_inherited.settings.database_address, **RELAXED)


class Work:
    """One claimed job.

    1. A whole recording that is short, or turns out to be, is recognised at once.
    2. A longer one is cut into segments: each is stored and becomes a job of its own.
    3. A segment is recognised. Whoever ends the last piece joins them all and ends the message.
    """

    def __init__(
        self, horse: Horse, connection: Connection, job: dict[str, Any], message: dict[str, Any]
    ) -> None:
        self._horse, self._connection, self._job, self._message = horse, connection, job, message
        self._began = time.monotonic()
        self._decode_seconds: float | None = None

    def run(self) -> None:
        """Do it, and report how it ended."""
        result = "done"
        try:
            self._segment() if self._job["segment"] is not None else self._recording()
        except AudioError as error:
            result = outcome = OUTCOMES[type(error)]
            log.info("not transcribed", outcome=outcome, reason=str(error))
            self._end(outcome, error=str(error))
        except MissingObjectError as error:
            result = "fetched_again"
            self._fetch_again(error)
        except (*UNREACHABLE, OSError) as error:
            result = "returned"
            log.warning("job returned to the queue", error=f"{type(error).__name__}: {error}")
            self._connection.execute(RETURN_JOB, [repr(error), RETRY_SECONDS, self._job["id"]])
        self._horse.report.job(self._job["lane"], result, time.monotonic() - self._began)

    def _recording(self) -> None:
        expected = self._message["declared_seconds"]
        with self._horse.objects.open(self._job["object_key"]) as file, blocks(file, expected) as audio:
            splitter = Splitter(self._segment_length(audio.info.duration or expected))
            segments = splitter.split(self._limited(audio))
            first, second = next(segments, None), next(segments, None)
            if second is None:
                pieces = [first.pcm] if first else []
                self._recognised(self._decode(pieces), complete=not audio.info.truncated)
                return
            assert first
            count = self._store(chain([first, second], segments))
            self._all_stored(count, complete=not audio.info.truncated)

    def _fetch_again(self, error: Exception) -> None:
        """Start over from Telegram, which still has the file: its object, or a segment's, has vanished."""
        log.warning("the recording is fetched again", error=str(error))
        with self._connection.transaction():
            self._connection.execute("DELETE FROM jobs WHERE message = %s", [self._message["id"]])
            self._connection.execute(FETCH_AGAIN, [str(error), self._message["id"]])
            self._notify("store")

    def _segment(self) -> None:
        pcm = np.frombuffer(self._horse.objects.read(self._job["object_key"]), dtype=np.int16)
        transcript = self._decode([pcm])
        with self._connection.transaction():
            self._lock_message()
            self._end_job(transcript)
            self._join_if_last()
            self._notify("dispatch")
        self._remove_segments()

    def _decode(self, pieces: list[NDArray[np.int16]]) -> Transcript:
        recogniser, began = self._recogniser(), time.monotonic()
        transcript = recogniser.decode(pieces)
        self._decode_seconds = time.monotonic() - began
        self._horse.report.audio(self._message["language"], transcript.duration)
        return transcript

    def _recogniser(self) -> Recogniser:
        """Return the recogniser of the message's language.

        Raises:
            NoModelError: no worker has it.
            OSError: this host does not have it, another one has.
        """
        language = self._message["language"]
        if recogniser := self._horse.recognisers.get(language):
            return recogniser
        if _one(self._connection, HEARD, [language])["heard"]:
            raise OSError(f"no model for {language} on {self._horse.worker}, another worker has it")
        raise NoModelError(f"no worker has a model for {language}: `aisha models pull {language}`")

    def _segment_length(self, seconds: float | None) -> float:
        """Return the length that the message's segments have, in seconds: once chosen it stays, so cuts stay too."""
        if seconds and seconds < WHOLE_BELOW:
            return LONGEST  # it stays whole, unless it is longer than was said
        workers = _one(self._connection, WORKERS, [])["count"]
        length = min(target_length(seconds, workers), LONGEST)
        return float(_one(self._connection, FIX_LENGTH, [length, self._message["id"]])["segment_seconds"])

    def _limited(self, audio: Iterator[NDArray[np.int16]]) -> Iterator[NDArray[np.int16]]:
        limit = self._horse.settings.max_duration * RATE
        for block in audio:
            limit -= block.size
            if limit < 0:
                raise TooLongError(f"longer than {self._horse.settings.max_duration} s")
            yield block

    def _store(self, segments: Iterator[Segment]) -> int:
        """Store each segment and add its job as soon as it is cut; return how many there are."""
        count = 0
        for count, segment in enumerate(segments, start=1):
            key = f"segments/{self._message['id']}/{count:05}"
            data = segment.pcm.tobytes()
            self._horse.objects.put(key, io.BytesIO(data), len(data))
            values = {
                "message": self._message["id"],
                "segment": count,
                "user_id": self._message["user_id"],
                "seconds": segment.duration,
                "key": key,
                "starts_at": segment.start,
                "overlap": segment.overlap,
            }
            with self._connection.transaction():
                self._connection.execute(ADD_SEGMENT, values)
                self._notify("dispatch")
        return count

    def _all_stored(self, count: int, *, complete: bool) -> None:
        log.info("cut into segments", segments=count)
        with self._connection.transaction():
            self._lock_message()
            self._connection.execute(
                "UPDATE messages SET segments = %s, complete = %s WHERE id = %s",
                [count, complete, self._message["id"]],
            )
            self._message |= {"segments": count, "complete": complete}
            self._end_job()
            self._join_if_last()
            self._notify("dispatch")
        self._remove_segments()

    def _lock_message(self) -> None:
        """Take the message's row: of two pieces that end at once, the second then sees the first."""
        self._message = _one(
            self._connection, "SELECT * FROM messages WHERE id = %s FOR UPDATE", [self._message["id"]]
        )

    def _join_if_last(self) -> None:
        pieces = self._connection.execute(SEGMENTS, [self._message["id"]]).fetchall()
        if (
            self._message["state"] != "transcribing"
            or self._message["segments"] != len(pieces)
            or any(piece["state"] != "done" for piece in pieces)
        ):
            return
        parts = [Part(p["starts_at"], p["overlap"], Transcript.from_json(p["transcript"])) for p in pieces]
        self._transcribed(join(parts), complete=self._message["complete"])
        self._message["state"] = "transcribed"

    def _remove_segments(self) -> None:
        """Delete the stored segments of a joined message; a failure leaves them to the bucket's lifecycle."""
        if self._message["state"] != "transcribed":
            return
        try:
            for number in range(1, self._message["segments"] + 1):
                self._horse.objects.remove(f"segments/{self._message['id']}/{number:05}")
        except UNREACHABLE as error:
            log.warning("segments were not removed", error=str(error))

    def _recognised(self, transcript: Transcript, *, complete: bool) -> None:
        with self._connection.transaction():
            self._transcribed(transcript, complete=complete)
            self._end_job()

    def _transcribed(self, transcript: Transcript, *, complete: bool) -> None:
        outcome = judge(transcript)
        words = Jsonb(transcript.to_json()["words"])
        seconds = transcript.duration
        self._update(outcome, transcript.text(), words, seconds, complete=complete)
        log.info("transcribed", outcome=outcome, seconds=seconds, words=len(transcript.words))

    def _end(self, outcome: str, error: str) -> None:
        with self._connection.transaction():
            self._update(outcome, None, None, None, complete=True, error=error)
            self._end_job()

    def _end_job(self, transcript: Transcript | None = None) -> None:
        kept = Jsonb(transcript.to_json()) if transcript else None
        self._connection.execute(END_JOB, [kept, self._decode_seconds, self._job["id"]])

    def _update(
        self,
        outcome: str,
        text: str | None,
        words: Jsonb | None,
        seconds: float | None,
        *,
        complete: bool,
        error: str | None = None,
    ) -> None:
        values = {
            "id": self._message["id"],
            "outcome": outcome,
            "text": text,
            "words": words,
            "seconds": seconds,
            "complete": complete,
            "error": error,
        }
        self._connection.execute(TRANSCRIBED, values)
        self._notify("answer", "dispatch")

    def _notify(self, *stages: str) -> None:
        for stage in stages:
            self._connection.execute("SELECT pg_notify(%s, %s)", [CHANNEL, stage])


def _one(connection: Connection, query: str, values: list[Any]) -> dict[str, Any]:
    row = connection.execute(query, values).fetchone()
    assert row is not None
    return row
