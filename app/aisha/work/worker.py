"""`aisha worker`: this host's transcription workers, forked from one parent that holds the models."""

import gc
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import click
import psycopg
import structlog
from redis.exceptions import RedisError
from rq import Queue, Worker
from rq.executions import Execution
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import UnixSignalDeathPenalty

from aisha import logs, settings
from aisha.database import workers
from aisha.database.connect import connect as connect_database
from aisha.database.jobs import Lane
from aisha.errors import ServiceError
from aisha.lanes import LANES, connect, queues
from aisha.objects import Objects
from aisha.settings import Settings
from aisha.speech.allocator import prefer_fast_allocator
from aisha.speech.parentage import die_with_parent
from aisha.work import jobs
from aisha.work.engines import Engines
from aisha.work.horse import ReadyHorse
from aisha.work.report import PORT_TAKEN, Report

log = structlog.get_logger(__name__)

SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
HEARTBEAT_SECONDS = 10
MODELS_SECONDS = 5
WORKER_TTL = 45
MAINTENANCE_SECONDS = 15
RESTART_SECONDS = 0.5
KILL_SECONDS = 10

NICENESS = 10
"""Decoding takes every processor there is; whoever answers in milliseconds on the same host goes first."""


class RecordingWorker(Worker):
    """RQ's forking worker, quick to find Redis again; its work-horses inherit the warm recognizers.

    Each work-horse is forked before its job: at the start, and again when a job has ended.
    """

    death_penalty_class = UnixSignalDeathPenalty
    max_connection_wait_time = 2.0
    log_result_lifespan = False
    _ready: ReadyHorse | None = None

    def work(self, *args: Any, **options: Any) -> bool:
        """Wait for jobs and have them done until told to stop."""
        self._fork_ahead()
        return super().work(*args, **options)

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Have a job done, then make ready for another."""
        super().execute_job(job, queue)
        self._fork_ahead()

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Give the job to the work-horse that is ready, or to a new one when that has died meanwhile."""
        assert self.execution
        ready, self._ready = self._ready, None
        if ready and ready.give(job=job.id, queue=queue.name, execution=self.execution.id):
            self._horse_pid = ready.pid
        else:
            super().fork_work_horse(job, queue)

    def _fork_ahead(self) -> None:
        self._ready = ReadyHorse(jobs.connect_ahead, self._perform)

    def _perform(self, order: dict[str, str]) -> None:
        job = Job.fetch(order["job"], connection=self.connection, serializer=self.serializer)
        self.execution = Execution(order["execution"], job.id, self.connection, self.name)
        queue = next(queue for queue in self.queues if queue.name == order["queue"])
        self.main_work_horse(job, queue)

    def handle_warm_shutdown_request(self) -> None:
        """End before the next job, even if what RQ raises in its signal handler is lost on the way."""
        self._stop_requested = True
        super().handle_warm_shutdown_request()  # type: ignore[no-untyped-call]

    # RQ quits when Redis does not take these, and its work-horse would die with it, though it needs no Redis.

    def set_current_job_working_time(self, *args: Any, **options: Any) -> None:
        """Tell Redis how long the job has run, if it listens."""
        with suppress(RedisError):
            super().set_current_job_working_time(*args, **options)

    def maintain_heartbeats(self, job: Job) -> None:
        """Tell Redis that worker and job are alive, if it listens."""
        with suppress(RedisError):
            super().maintain_heartbeats(job)

    def set_shutdown_requested_date(self) -> None:
        """Tell Redis that this worker is to stop, if it listens."""
        with suppress(RedisError):
            super().set_shutdown_requested_date()  # type: ignore[no-untyped-call]


class Pool:
    """The parent of one host's workers.

    1. It loads each installed model and forks; then it warms each recognizer with speech and forks anew.
    2. It forks one RQ worker a core for all lanes, and one more for short recordings only, so that these never wait
       behind lectures. Their work-horses inherit models and warmth copy-on-write.
    3. It replaces children that die, and says every ten seconds in PostgreSQL that it is there.
    4. It looks for models that were installed or removed, and warms what was cold with the host's own recent
       recordings; then new workers are forked and the old ones end after their job.
    5. SIGTERM reaches each worker once: it takes no new job, finishes its own and ends. What still runs after
       AISHA_DRAIN_SECONDS is killed and goes back to the queue; that counts as no death.
    """

    def __init__(self, loaded: Settings, concurrency: int) -> None:
        self._settings = loaded
        self._concurrency = concurrency
        self._name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"
        self._report = Report()
        self._exporter = 0
        self._engines = Engines(loaded)
        self._objects = Objects(loaded)
        self._workers: dict[int, tuple[Lane, ...]] = {}
        self._retired: set[int] = set()

    def run(self) -> None:
        """Work until a signal ends it.

        Raises:
            ModelError: no model is installed, or none loads.
            ServiceError: the metrics port cannot be used.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        os.nice(NICENESS)
        self._start_exporter()
        self._engines.load()
        self._fork_all()
        self._heartbeat()
        self._engines.warm_up()
        self._roll()
        beaten = looked = 0.0
        while not self._stopping():
            now = time.monotonic()
            if now - beaten >= HEARTBEAT_SECONDS:
                beaten = now
                self._heartbeat()
            if now - looked >= MODELS_SECONDS:
                looked = now
                if self._refreshed():
                    self._roll()
        self._stop()

    def _stopping(self) -> bool:
        """Wait a second for a signal; replace children that died; return whether it was one to stop."""
        received = signal.sigtimedwait(SIGNALS, 1.0)
        self._replace_dead()
        return received is not None and received.si_signo in (signal.SIGTERM, signal.SIGINT)

    def _refreshed(self) -> bool:
        if self._engines.follow():
            self._engines.warm_up()
            return True
        return self._engines.warm_with_recent()

    def _start_exporter(self) -> None:
        self._exporter = self._report.start_exporter(
            self._settings.metrics_host, self._settings.worker_metrics_port
        )

    def _fork_all(self) -> None:
        recognizers = self._engines.recognizers
        jobs.inherit(jobs.Horse(self._settings, recognizers, self._objects, self._report, self._name))
        gc.collect()
        gc.freeze()
        for _ in range(self._concurrency):
            self._fork(LANES)
        self._fork(LANES[:1])
        log.info("ready", workers=len(self._workers), languages=self._engines.languages)

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
            self._work(lanes)
            status = 0
        except RedisError as error:
            log.warning("Redis does not answer", error=str(error))
        except BaseException:
            log.exception("worker failed")
        finally:
            os._exit(status)

    def _work(self, lanes: tuple[Lane, ...]) -> None:
        redis = connect(self._settings)
        worker = RecordingWorker(
            queues(redis, lanes),
            connection=redis,
            name=f"{self._name}-{os.getpid()}",
            worker_ttl=WORKER_TTL,
            maintenance_interval=MAINTENANCE_SECONDS,
            work_horse_killed_handler=self._work_horse_killed,
            log_job_description=False,
            serializer=JSONSerializer,
        )
        worker.work(logging_level="WARNING")

    def _work_horse_killed(self, job: Job, *_: Any) -> None:
        log.warning("a work-horse died", rq_job=job.id)
        self._report.killed()

    def _replace_dead(self) -> None:
        """Fork anew what ended; an orphan that this process adopted as a container's first is only reaped."""
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
        self._forget()
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
        """Return the workers that have not ended after so many seconds."""
        left, end = {*self._workers, *self._retired}, time.monotonic() + seconds
        while left:
            left -= {pid for pid in left if _ended(pid)}
            if not left or time.monotonic() >= end:
                break
            signal.sigtimedwait({signal.SIGCHLD}, min(1.0, max(0.0, end - time.monotonic())))
        return left

    def _return_jobs(self) -> None:
        """Give the jobs of killed work-horses back to the queue; without the database the reconciler does, later."""
        try:
            with connect_database(self._settings.database_address) as connection:
                returned = jobs.return_unfinished(connection, self._name)
            log.warning("the time to finish is over, jobs returned to the queue", jobs=returned)
        except psycopg.Error as error:
            log.warning("jobs not returned, the database is away", error=str(error))

    def _heartbeat(self) -> None:
        """Say in PostgreSQL that this host works, and to the exporter which services can be reached."""
        checks = {
            "database": self._state(self._say_seen),
            "redis": self._state(self._ping),
            "objects": self._state(self._reach_objects),
        }
        self._report.alive(len(self._workers), checks)

    def _say_seen(self) -> None:
        with connect_database(self._settings.database_address) as connection:
            connection.run(workers.seen(self._name, self._concurrency, self._engines.languages))

    def _ping(self) -> None:
        with connect(self._settings) as redis:
            redis.ping()

    def _reach_objects(self) -> None:
        with Objects(self._settings) as objects:  # of its own: work-horses would inherit an open connection
            objects.check()

    def _state(self, reach: Callable[[], None]) -> str:
        """Return `ok` or what is wrong with a service."""
        try:
            reach()
        except (psycopg.Error, RedisError, ServiceError) as error:
            log.warning("a service does not answer", error=f"{type(error).__name__}: {error}")
            return f"{type(error).__name__}: {error}"[:200]
        return "ok"

    def _forget(self) -> None:
        """Take this host out of the count that lanes are filled by."""
        try:
            with connect_database(self._settings.database_address) as connection:
                connection.run(workers.leave(self._name))
        except psycopg.Error:
            log.info("the database had gone before this worker")


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


@click.command("worker")
@click.option(
    "--concurrency", type=click.IntRange(1), help="Recordings decoded at once.  [default: one a core]"
)
def worker_command(concurrency: int | None) -> None:
    """Run this host's transcription workers."""
    prefer_fast_allocator()
    loaded = settings.load()
    logs.configure(loaded, "worker")
    loaded.required("database_url", "redis_url", "s3_endpoint", "s3_access_key", "s3_secret_key")
    Pool(loaded, concurrency or loaded.concurrency or len(os.sched_getaffinity(0))).run()
