"""What a work-horse does with one job; runs in a process forked for it, and ends with that process."""

import io
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import psycopg
import structlog
from numpy.typing import NDArray
from rq.timeouts import JobTimeoutException

from aisha.database import jobs, locks, messages, workers
from aisha.database.connect import BlockingConnection, connect
from aisha.database.jobs import Job, Lane
from aisha.database.messages import Message
from aisha.errors import AudioError, DecoderKilledError, NoModelError, TooLongError, UnreadableFileError
from aisha.objects import UNREACHABLE, MissingObjectError, NoRoomError, Objects
from aisha.outcomes import Outcome
from aisha.settings import Settings
from aisha.speech.engine import Recogniser
from aisha.speech.judge import judge
from aisha.speech.level import RATE
from aisha.speech.media.reader import MediaReader
from aisha.speech.segment import LONGEST, WHOLE_BELOW, Segment, Splitter, target_length
from aisha.speech.transcript import Part, Transcript, join
from aisha.work.report import Report

log = structlog.get_logger(__name__)

RETRY_SECONDS = 2
ROOM_SECONDS = 10
LONG_NICENESS = 10
NOT_FORKED = "a work-horse was not forked from `aisha worker`"


@dataclass(frozen=True)
class Horse:
    """What every work-horse inherits from the worker's parent."""

    settings: Settings
    recognisers: dict[str, Recogniser]
    objects: Objects
    media: MediaReader
    report: Report
    worker: str


_inherited: Horse | None = None
_connected_ahead: BlockingConnection | None = None


def inherit(horse: Horse) -> None:
    """Keep what the work-horses that are forked from this process inherit."""
    global _inherited
    _inherited = horse


def connect_ahead() -> None:
    """Connect to the database before there is a job; the job tries again when that fails."""
    global _connected_ahead
    with suppress(psycopg.Error):
        _connected_ahead = _connect()


def run(job_id: int) -> None:
    """Do a job, unless another work-horse does it or has done it.

    After a failure of a service the job goes back to the queue and no attempt is counted. A file that cannot be
    transcribed ends its message with an outcome. Anything else leaves the job `started` without a lock, and the
    reconciler puts it back.
    """
    assert _inherited, NOT_FORKED
    _inherited.report.begin()
    with _connection() as connection:
        if not connection.only(locks.try_acquire(jobs.lock_name(job_id))):
            return
        job = connection.one(jobs.claim(job_id, _inherited.worker))
        if not job:
            return
        message = connection.one(messages.begin(job.message))
        give_way(job.lane)
        with structlog.contextvars.bound_contextvars(message=job.message, job=job_id, segment=job.segment):
            if message:
                Work(_inherited, connection, job, message).run()
            else:
                connection.run(jobs.done(job_id))


def give_way(lane: Lane) -> None:
    """Let this process, which ends with its job, leave the processor to short recordings if its own is long."""
    if lane == "long":
        os.nice(LONG_NICENESS)


def return_unfinished(connection: BlockingConnection, worker: str) -> list[int]:
    """Put back the jobs of a worker whose work-horses were killed, without counting an attempt; return them."""
    unfinished = connection.all(jobs.unfinished(worker))
    for job in unfinished:
        with connection.transaction():
            # the lock is free once the work-horse's session has ended
            connection.run(locks.acquire_for_transaction(jobs.lock_name(job)))
            connection.run(jobs.given_back(job, "its worker was stopped"))
    return unfinished


def _connection() -> BlockingConnection:
    """Return the connection that was made ahead if it still answers, else a new one."""
    if _connected_ahead:
        with suppress(psycopg.Error):
            _connected_ahead.execute("SELECT 1")
            return _connected_ahead
    return _connect()


def _connect() -> BlockingConnection:
    assert _inherited, NOT_FORKED
    return connect(_inherited.settings.database_address, relaxed=True)


class Work:
    """One claimed job.

    1. A whole recording that is short, or turns out to be, is recognised at once.
    2. A longer one is cut into segments: each is stored and becomes a job of its own. At too many unfinished segments
       cutting stops, and goes on with the next one when half of them are decoded.
    3. A segment is recognised. The job that finishes last joins them all and ends the message.
    """

    def __init__(self, horse: Horse, connection: BlockingConnection, job: Job, message: Message) -> None:
        self._horse, self._connection, self._job, self._message = horse, connection, job, message
        self._began = time.monotonic()
        self._decode_seconds: float | None = None

    def run(self) -> None:
        """Do it, and report how it ended."""
        result = "done"
        try:
            self._segment() if self._job.segment is not None else self._recording_again_if_killed()
        except AudioError as error:
            result = error.outcome
            self._not_transcribed(error.outcome, str(error))
        except JobTimeoutException as error:
            result = UnreadableFileError.outcome
            self._not_transcribed(UnreadableFileError.outcome, str(error))
        except MissingObjectError as error:
            result = "fetched_again"
            self._fetch_again(error)
        except (*UNREACHABLE, OSError) as error:
            result = "returned"
            log.warning("job returned to the queue", error=f"{type(error).__name__}: {error}")
            seconds = ROOM_SECONDS if isinstance(error, NoRoomError) else RETRY_SECONDS
            self._connection.run(jobs.given_back(self._job.id, repr(error), seconds))
        self._horse.report.job(self._job.lane, result, time.monotonic() - self._began)

    def _recording_again_if_killed(self) -> None:
        """Read the recording; a second time if the process that read it was killed, which need not be its fault."""
        try:
            self._recording()
        except DecoderKilledError as error:
            log.warning("read again", reason=str(error))
            self._recording()

    def _recording(self) -> None:
        expected = self._message.declared_seconds
        if self._message.segment_seconds:
            self._need_room(0.5)
        with (
            self._horse.objects.spool(self._job.object_key, self._horse.settings.spool_dir) as file,
            self._horse.media.blocks(file, expected) as audio,
        ):
            splitter = Splitter(self._segment_length(audio.info.duration or expected))
            segments = splitter.split(self._limited(audio))
            first, second = next(segments, None), next(segments, None)
            if audio.info.tracks > 1:
                heard = messages.heard_track(self._message.id, audio.info.track, audio.info.tracks)
                self._connection.run(heard)
            if second is None:
                pieces = [first.pcm] if first else []
                self._recognised(self._decode(pieces), complete=not audio.info.truncated)
                self._horse.report.read(audio.usage().seconds)
                return
            assert first
            count = self._store(chain([first, second], segments))
            self._horse.report.read(audio.usage().seconds)
            self._all_stored(count, complete=not audio.info.truncated)

    def _fetch_again(self, error: Exception) -> None:
        """Start over from Telegram, which still has the file: its object, or a segment's, has vanished."""
        log.warning("the recording is fetched again", error=str(error))
        with self._connection.transaction():
            self._connection.run(jobs.drop(self._message.id))
            self._connection.run(messages.fetch_again(self._message.id, str(error)))

    def _segment(self) -> None:
        pcm = np.frombuffer(self._horse.objects.read(self._job.object_key), dtype=np.int16)
        transcript = self._decode([pcm])
        with self._connection.transaction():
            self._lock_message()
            self._end_job(transcript)
            self._join_if_last()
        self._remove_segment()

    def _decode(self, pieces: list[NDArray[np.int16]]) -> Transcript:
        recogniser, began = self._recogniser(), time.monotonic()
        transcript = recogniser.decode(pieces)
        self._decode_seconds = time.monotonic() - began
        self._horse.report.audio(self._message.language, transcript.duration)
        return transcript

    def _recogniser(self) -> Recogniser:
        """Return the recogniser of the message's language.

        Raises:
            NoModelError: no worker has it.
            OSError: this host does not have it, another one has.
        """
        language = self._message.language
        if recogniser := self._horse.recognisers.get(language):
            return recogniser
        if language in self._connection.all(workers.languages()):
            raise OSError(f"no model for {language} on {self._horse.worker}, another worker has it")
        raise NoModelError(f"no worker has a model for {language}: `aisha models pull {language}`")

    def _segment_length(self, seconds: float | None) -> float:
        """Return the length of the message's segments in seconds; once chosen it stays, so the cuts stay too."""
        if seconds and seconds < WHOLE_BELOW:
            return LONGEST  # it stays whole, unless it is longer than declared
        capacity = max(self._connection.only(workers.capacity()), 1)
        length = min(target_length(seconds, capacity), LONGEST)
        return self._connection.only(messages.fix_segment_length(self._message.id, length))

    def _limited(self, audio: Iterator[NDArray[np.int16]]) -> Iterator[NDArray[np.int16]]:
        limit = self._horse.settings.max_duration * RATE
        for block in audio:
            limit -= block.size
            if limit < 0:
                raise TooLongError(f"longer than {self._horse.settings.max_duration} s")
            yield block

    def _store(self, segments: Iterator[Segment]) -> int:
        """Store each segment and add its job as soon as it is cut; return how many there are.

        Those that an earlier work-horse has cut, at the same places, have their jobs.

        Raises:
            NoRoomError: too many segments are unfinished.
        """
        count, cut = 0, set(self._connection.all(jobs.segments(self._message.id)))
        for count, segment in enumerate(segments, start=1):
            if count in cut:
                continue
            self._need_room()
            key = f"segments/{self._message.id}/{count:05}"
            data = segment.pcm.tobytes()
            self._horse.objects.put(key, io.BytesIO(data), len(data))
            job = jobs.add(
                self._message.id,
                self._message.user_id,
                "long",
                segment.duration,
                key,
                segment=count,
                starts_at=segment.start,
                overlap=segment.overlap,
            )
            with self._connection.transaction():
                self._connection.run(job)
        return count

    def _need_room(self, part: float = 1) -> None:
        """Return if the unfinished segments are fewer than this part of what is allowed, for the user and for all.

        Raises:
            NoRoomError: they are not.
        """
        own, total = self._connection.only(jobs.unfinished_segments(self._message.user_id))
        limits = self._horse.settings
        if own >= part * limits.unfinished_segments_per_user or total >= part * limits.unfinished_segments:
            raise NoRoomError(f"{own} of this user's segments are unfinished, {total} of all users")

    def _all_stored(self, count: int, *, complete: bool) -> None:
        log.info("cut into segments", segments=count)
        with self._connection.transaction():
            self._lock_message()
            self._connection.run(messages.cut(self._message.id, count, complete=complete))
            self._message = replace(self._message, segments=count, complete=complete)
            self._end_job()
            self._join_if_last()

    def _lock_message(self) -> None:
        """Lock the message's row: of two jobs that finish together, the second then sees the first."""
        self._message = self._connection.only(messages.locked(self._message.id))

    def _join_if_last(self) -> None:
        of_message = self._connection.all(jobs.of(self._message.id))
        pieces = [job for job in of_message if job.segment is not None]
        if (
            self._message.state != "transcribing"
            or self._message.segments != len(pieces)
            or any(piece.state != "done" for piece in pieces)
        ):
            return
        parts = [Part(p.starts_at, p.overlap, Transcript.from_json(p.transcript or {})) for p in pieces]
        self._transcribed(join(parts), complete=self._message.complete)
        self._message = replace(self._message, state="transcribed")

    def _remove_segment(self) -> None:
        """Delete the decoded segment's object; a failure leaves it until the recording is removed."""
        try:
            self._horse.objects.remove(self._job.object_key)
        except UNREACHABLE as error:
            log.warning("a segment was not removed", error=str(error))

    def _recognised(self, transcript: Transcript, *, complete: bool) -> None:
        with self._connection.transaction():
            self._transcribed(transcript, complete=complete)
            self._end_job()

    def _transcribed(self, transcript: Transcript, *, complete: bool) -> None:
        outcome = judge(transcript)
        seconds = transcript.duration
        self._connection.run(
            messages.transcribed(
                self._message.id,
                outcome,
                text=transcript.text(),
                words=transcript.to_json()["words"],
                seconds=seconds,
                complete=complete,
            )
        )
        log.info("transcribed", outcome=outcome, seconds=seconds, words=len(transcript.words))

    def _not_transcribed(self, outcome: Outcome, reason: str) -> None:
        log.info("not transcribed", outcome=outcome, reason=reason)
        with self._connection.transaction():
            self._connection.run(messages.transcribed(self._message.id, outcome, error=reason))
            self._end_job()

    def _end_job(self, transcript: Transcript | None = None) -> None:
        kept = transcript.to_json() if transcript else None
        self._connection.run(jobs.done(self._job.id, kept, self._decode_seconds))
