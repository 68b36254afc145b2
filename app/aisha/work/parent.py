"""The parent of this host's workers: it holds the models, and all other processes are forked from it."""

import gc
import os
import secrets
import signal
import socket
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import structlog
from redis.exceptions import RedisError
from rq.job import Job

from aisha.database.connect import connect
from aisha.database.jobs import Lane
from aisha.errors import ServiceError
from aisha.forking import die_with_parent
from aisha.lanes import LANES
from aisha.objects import Objects
from aisha.settings import Settings
from aisha.speech.media.reader import MediaReader
from aisha.work import jobs
from aisha.work.heartbeat import Heartbeat
from aisha.work.recognisers import Recognisers
from aisha.work.report import PORT_TAKEN, Report
from aisha.work.worker import work

log = structlog.get_logger(__name__)

SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
HEARTBEAT_SECONDS = 10
MODELS_SECONDS = 5
RESTART_SECONDS = 0.5
KILL_SECONDS = 10

NICENESS = 10
"""Decoding uses every core; processes of the same host that answer within milliseconds go first."""


class Parent:
    """The process that all workers of one host are forked from.

    1. It starts the process that reads recordings, then loads each installed model and forks; then it warms each
       recogniser with speech and forks again.
    2. It forks one RQ worker per core for all lanes, and one more for short recordings only, so that these never wait
       behind lectures. Their work-horses inherit models and warmth copy-on-write.
    3. It replaces children that die, and records in PostgreSQL every ten seconds that it is alive.
    4. It looks for models that were installed or removed, and warms cold recognisers with recent recordings; then it
       forks new workers, and the old ones exit after their job.
    5. On SIGTERM it drains: it passes the signal to each worker once; a worker takes no new job, finishes its own and
       exits. What still runs after AISHA_DRAIN_SECONDS is killed and goes back to the queue; no attempt is counted.
    """

    def __init__(self, loaded: Settings, concurrency: int) -> None:
        self._settings = loaded
        self._concurrency = concurrency
        self._name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"
        self._report = Report()
        self._exporter = 0
        self._media = MediaReader.of(loaded)
        self._recognisers = Recognisers(loaded, self._media)
        self._objects = Objects(loaded)
        self._heartbeat = Heartbeat(loaded, self._name, concurrency)
        self._workers: dict[int, tuple[Lane, ...]] = {}
        self._retired: set[int] = set()

    def run(self) -> None:
        """Work until a signal ends it.

        Raises:
            ModelError: no model is installed, or none loads.
            ServiceError: the metrics port cannot be used, or no recording can be read.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        os.nice(NICENESS)
        self._start_exporter()
        self._media.start()
        self._recognisers.load()
        self._media.check()
        self._fork_all()
        self._beat()
        self._recognisers.warm_up()
        self._roll()
        beaten = looked = 0.0
        while not self._stopping():
            now = time.monotonic()
            if now - beaten >= HEARTBEAT_SECONDS:
                beaten = now
                self._beat()
            if now - looked >= MODELS_SECONDS:
                looked = now
                if self._refreshed():
                    self._roll()
        self._stop()

    def _stopping(self) -> bool:
        """Wait a second for a signal; replace children that died; return whether it was one to stop."""
        received = signal.sigtimedwait(SIGNALS, 1.0)
        self._replace_dead()
        self._media.keep_alive()
        return received is not None and received.si_signo in (signal.SIGTERM, signal.SIGINT)

    def _refreshed(self) -> bool:
        if self._recognisers.follow():
            self._recognisers.warm_up()
            return True
        return self._recognisers.warm_with_recent()

    def _start_exporter(self) -> None:
        self._exporter = self._report.start_exporter(
            self._settings.metrics_host, self._settings.worker_metrics_port
        )

    def _fork_all(self) -> None:
        recognisers = self._recognisers.by_language
        jobs.inherit(
            jobs.Horse(self._settings, recognisers, self._objects, self._media, self._report, self._name)
        )
        gc.collect()
        gc.freeze()
        for _ in range(self._concurrency):
            self._fork(LANES)
        self._fork(LANES[:1])
        log.info("ready", workers=len(self._workers), languages=self._recognisers.languages)

    def _fork(self, lanes: tuple[Lane, ...]) -> None:
        pid = os.fork()
        if pid:
            self._workers[pid] = lanes
            return
        status = 1
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)  # until RQ handles them
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            die_with_parent()
            work(self._settings, lanes, f"{self._name}-{os.getpid()}", self._work_horse_killed)
            status = 0
        except RedisError as error:
            log.warning("Redis does not answer", error=str(error))
        except BaseException:
            log.exception("worker failed")
        finally:
            os._exit(status)

    def _work_horse_killed(self, job: Job, *_: Any) -> None:
        log.warning("a work-horse died", rq_job=job.id)
        self._report.killed()

    def _replace_dead(self) -> None:
        """Replace workers that ended; an orphan that this process adopted as a container's PID 1 is only reaped."""
        dead = [self._workers.pop(pid) for pid, _ in self._reaped() if pid in self._workers]
        if dead:
            log.warning("workers ended, starting others", count=len(dead))
            time.sleep(RESTART_SECONDS)
        for lanes in dead:
            self._fork(lanes)

    def _reaped(self) -> Iterator[tuple[int, int]]:
        while self._workers or self._retired or self._exporter:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            self._retired.discard(pid)
            if pid == self._exporter:
                self._exporter_ended(status)
            yield pid, status

    def _exporter_ended(self, status: int) -> None:
        if os.waitstatus_to_exitcode(status) == PORT_TAKEN:
            raise ServiceError(
                f"the metrics port {self._settings.worker_metrics_port} cannot be used; is it taken?"
                " Set AISHA_WORKER_METRICS_PORT to another, or to 0"
            )
        log.warning("the metrics exporter ended, starting another")
        self._start_exporter()

    def _roll(self) -> None:
        """Fork new workers first, then let the old ones finish their jobs and end."""
        old = list(self._workers)
        self._workers.clear()
        self._fork_all()
        for pid in old:
            self._retired.add(pid)
            _signal(pid, signal.SIGTERM)

    def _stop(self) -> None:
        log.info("stopping; running jobs are finished first", most_seconds=self._settings.drain_seconds)
        self._heartbeat.end()
        self._report.alive(len(self._workers), {"worker": "draining"})
        for pid in self._workers:
            _signal(pid, signal.SIGTERM)
        if left := self._wait_for_workers(self._settings.drain_seconds):
            for pid in left:
                _signal(pid, signal.SIGKILL)
            self._wait_for_workers(KILL_SECONDS)
            self._return_jobs()
        log.info("stopped")

    def _wait_for_workers(self, seconds: float) -> set[int]:
        """Return the workers that have not ended after `seconds`."""
        left, end = {*self._workers, *self._retired}, time.monotonic() + seconds
        while left:
            self._media.keep_alive()
            left -= {pid for pid in left if _ended(pid)}
            if not left or time.monotonic() >= end:
                break
            signal.sigtimedwait({signal.SIGCHLD}, min(1.0, max(0.0, end - time.monotonic())))
        return left

    def _return_jobs(self) -> None:
        """Put back the jobs of killed work-horses; without the database the reconciler does it later."""
        try:
            with connect(self._settings.database_address) as connection:
                returned = jobs.return_unfinished(connection, self._name)
            log.warning("drain timeout, jobs returned to the queue", jobs=returned)
        except psycopg.Error as error:
            log.warning("jobs not returned, the database is unreachable", error=str(error))

    def _beat(self) -> None:
        self._report.alive(len(self._workers), self._heartbeat.beat(self._recognisers.languages))


def _ended(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
