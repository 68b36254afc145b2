"""RQ's worker, as recordings need it."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from redis.exceptions import RedisError
from rq import Queue, Worker
from rq.executions import Execution
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import UnixSignalDeathPenalty

import aisha.transcribe.jobs  # noqa: F401 - else each work-horse would import it with its job
from aisha.database.jobs import Lane
from aisha.lanes import connect, queues
from aisha.settings import Settings
from aisha.work import jobs
from aisha.work.horse import ReadyHorse

WORKER_TTL = 45
MAINTENANCE_SECONDS = 15


def work(settings: Settings, lanes: tuple[Lane, ...], name: str, killed: Callable[..., None]) -> None:
    """Process the jobs of these lanes until told to stop; `killed` is called when a work-horse dies during its job.

    Raises:
        RedisError: Redis does not answer.
    """
    redis = connect(settings)
    worker = RecordingWorker(
        queues(redis, lanes),
        connection=redis,
        name=name,
        worker_ttl=WORKER_TTL,
        maintenance_interval=MAINTENANCE_SECONDS,
        work_horse_killed_handler=killed,
        log_job_description=False,
        serializer=JSONSerializer,
    )
    worker.work(logging_level="WARNING")


class RecordingWorker(Worker):
    """RQ's forking worker, quick to reconnect to Redis; its work-horses inherit the warm recognisers.

    Each work-horse is forked before its job: at the start, and again when a job has ended.
    """

    death_penalty_class = UnixSignalDeathPenalty
    max_connection_wait_time = 2.0
    log_result_lifespan = False
    _ready: ReadyHorse | None = None

    def work(self, *args: Any, **options: Any) -> bool:
        """Wait for jobs and process them until told to stop."""
        self._fork_ahead()
        return super().work(*args, **options)

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Process a job, then fork the work-horse for the next one."""
        super().execute_job(job, queue)
        self._fork_ahead()

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Give the job to the work-horse that is ready, or to a new one if that has died meanwhile."""
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
        """Stop before the next job, even if the exception that RQ raises in its signal handler is lost."""
        self._stop_requested = True
        super().handle_warm_shutdown_request()  # type: ignore[no-untyped-call]

    # RQ exits if Redis does not answer these calls, and its work-horse would die with it, though it needs no Redis.

    def set_current_job_working_time(self, *args: Any, **options: Any) -> None:
        """Tell Redis how long the job has run, if it answers."""
        with suppress(RedisError):
            super().set_current_job_working_time(*args, **options)

    def maintain_heartbeats(self, job: Job) -> None:
        """Tell Redis that worker and job are alive, if it answers."""
        with suppress(RedisError):
            super().maintain_heartbeats(job)

    def set_shutdown_requested_date(self) -> None:
        """Tell Redis that this worker is to stop, if it answers."""
        with suppress(RedisError):
            super().set_shutdown_requested_date()  # type: ignore[no-untyped-call]
