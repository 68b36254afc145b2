"""PostgreSQL, Redis and S3 on this machine: for `aisha run`, for the tests and for the benchmarks."""

import asyncio
import signal
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from aisha.errors import ServiceError
from aisha_embedded import lock, ports, sessions
from aisha_embedded.credentials import Credentials
from aisha_embedded.postgres import Postgres, erase
from aisha_embedded.process import Spec
from aisha_embedded.redis import Redis
from aisha_embedded.s3 import S3
from aisha_embedded.service import Service
from aisha_embedded.supervisor import Supervisor, together

ALL = frozenset({"postgres", "redis", "s3"})
ATTEMPTS = 3

__all__ = ["ALL", "Services", "erase"]


class Services:
    """The wanted services of a data folder, each on ports of its own on 127.0.0.1.

    1. `begin` each: choose free ports, start, wait until it answers; if one has been taken, choose others.
    2. The supervisor restarts one that dies, on the same ports.
    3. Leaving the context stops them; their data stay.
    """

    def __init__(
        self, data_dir: Path, supervisor: Supervisor, want: Collection[str] = ALL, bucket: str = "aisha"
    ) -> None:
        credentials = Credentials(data_dir / "secrets")
        made: dict[str, Service] = {}
        if "postgres" in want:
            made["postgres"] = Postgres(data_dir, credentials)
        if "redis" in want:
            made["redis"] = Redis(data_dir, credentials)
        if "s3" in want:
            made["s3"] = S3(data_dir, credentials, bucket)
        self.data_dir = data_dir
        self.environment: dict[str, str] = {}
        self._services = made
        self._supervisor = supervisor

    @classmethod
    @asynccontextmanager
    async def start(
        cls, data_dir: Path, want: Collection[str] = ALL, bucket: str = "aisha"
    ) -> AsyncIterator[Self]:
        """Start the wanted services; `environment` then has the `AISHA_*` variables that lead to them.

        Raises:
            ServiceError: the folder is in use, or a service does not start.
        """
        data_dir = data_dir.absolute()  # noqa: ASYNC240 - reads no disk
        with lock.exclusive(data_dir):
            async with Supervisor(data_dir / "pids") as supervisor:
                services = cls(data_dir, supervisor, want, bucket)
                await together(*(services.begin(name) for name in services.names))
                yield services

    @property
    def names(self) -> list[str]:
        """The wanted services."""
        return list(self._services)

    @property
    def pids(self) -> dict[str, int]:
        """The process number of each that runs now."""
        return {name: pid for name, pid in self._supervisor.pids.items() if name in self._services}

    def spec(self, name: str) -> Spec:
        """Return how a started service is run."""
        return self._supervisor[name].spec

    async def begin(self, name: str) -> None:
        """Start one service and add its variables to the environment.

        Raises:
            ServiceError: it does not start; has the last lines of its log.
        """
        service = self._services[name]
        for attempt in range(1, ATTEMPTS + 1):
            chosen = ports.free(service.port_count)
            spec = await asyncio.to_thread(service.spec, chosen)
            try:
                await self._supervisor.start(spec)
                break
            except ServiceError:
                if attempt == ATTEMPTS or all(map(ports.is_free, chosen)):
                    raise
        self.environment |= service.environment(chosen)

    def kill(self, name: str) -> int:
        """Kill a service as `kill -9` does and return its process number; the supervisor will restart it."""
        pid = self._supervisor.pids[name]
        sessions.send(pid, signal.SIGKILL)
        return pid

    async def kill_and_restart(self, name: str, seconds: float = 60) -> None:
        """Kill a service as `kill -9` does and return when its successor answers.

        Raises:
            TimeoutError: it does not answer within this time.
        """
        starts = self._supervisor[name].starts
        self.kill(name)
        async with asyncio.timeout(seconds):
            await self._supervisor[name].started(starts + 1)
