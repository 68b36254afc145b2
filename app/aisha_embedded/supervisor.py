"""Keeps an ordered set of processes running until told to stop."""

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import structlog

from aisha.errors import ServiceError
from aisha_embedded.output import bound, tail
from aisha_embedded.process import Process, Spec
from aisha_embedded.sessions import PidFile

log = structlog.stdlib.get_logger(__name__)

PROBE_EVERY = 0.05
PROBE_TIMEOUT = 3.0
FIRST_BACKOFF = 0.2
LONGEST_BACKOFF = 5.0
STEADY = 30.0  # seconds up after which a death counts as the first again
LOG_CHECK_EVERY = 60.0


class Supervised:
    """One process that is kept running.

    1. End what a killed supervisor left of it; prepare; start it; probe until it is ready.
    2. Wait for its death; take the rest of its session down with it.
    3. Wait 0.2 s, doubling to 5 s; go to 1. After 30 s up the wait is short again.
    """

    def __init__(self, spec: Spec, pid_file: PidFile, hurry: asyncio.Event) -> None:
        self.spec = spec
        self.process: Process | None = None
        self.starts = 0
        self._pid_file = pid_file
        self._hurry = hurry
        self._exit: asyncio.Task[int] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._started = asyncio.Condition()

    async def start(self) -> None:
        """Start it and return when it is ready.

        Raises:
            ServiceError: it ended before that or took longer than `start_seconds`; has its log's last lines.
        """
        await self._launch()
        self._watcher = asyncio.create_task(self._watch(), name=f"watch {self.spec.name}")

    async def started(self, times: int) -> None:
        """Wait until it has become ready this many times in all."""
        async with self._started:
            await self._started.wait_for(lambda: self.starts >= times)

    async def stop(self) -> None:
        """Stop it and do not restart it."""
        if self._watcher:
            self._watcher.cancel()
            with suppress(asyncio.CancelledError):
                await self._watcher
        if self.process:
            await self.process.stop(self._hurry)
        self._pid_file.remove()
        await self.spec.clean()

    async def _launch(self) -> None:
        if await self._pid_file.end_leftover(self.spec.stop_signal, self.spec.stop_seconds):
            log.info("leftover ended", service=self.spec.name)
        await self.spec.prepare()
        began = time.monotonic()
        self.process = await Process.start(self.spec)
        self._exit = asyncio.create_task(self.process.wait(), name=f"wait for {self.spec.name}")
        with suppress(psutil.NoSuchProcess):  # it has ended at once, which is noticed below
            self._pid_file.write(self.process.pid)
        await self._until_ready(self.process, self._exit)
        log.debug("started", service=self.spec.name, pid=self.process.pid, seconds=_since(began))
        async with self._started:
            self.starts += 1
            self._started.notify_all()

    async def _until_ready(self, process: Process, ended: asyncio.Task[int]) -> None:
        try:
            await self._unless_ended(process.let_go(), ended, None)
            await self._unless_ended(_probe(process), ended, self.spec.start_seconds)
        except ServiceError:
            await process.kill()
            raise

    async def _unless_ended(
        self, step: Coroutine[Any, Any, None], ended: asyncio.Task[int], seconds: float | None
    ) -> None:
        doing = asyncio.create_task(step)
        try:
            await asyncio.wait((doing, ended), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                raise self._failure(f"ended with status {ended.result()} before it was ready")
            if not doing.done():
                raise self._failure(f"was not ready within {self.spec.start_seconds:g} s")
            doing.result()
        finally:
            doing.cancel()

    async def _watch(self) -> None:
        backoff = FIRST_BACKOFF
        while True:
            began = time.monotonic()
            status = await self._death()
            if time.monotonic() - began > STEADY:
                backoff = FIRST_BACKOFF
            log.warning("died", service=self.spec.name, status=status, restart_seconds=backoff)
            while not await self._relaunch(backoff):
                backoff = min(backoff * 2, LONGEST_BACKOFF)
            backoff = min(backoff * 2, LONGEST_BACKOFF)

    async def _death(self) -> int:
        """Return the exit status of the process once it has ended; keep its log bounded meanwhile."""
        if not (self.process and self._exit):
            raise RuntimeError(f"{self.spec.name} was never started")
        while not self._exit.done():
            await asyncio.wait((self._exit,), timeout=LOG_CHECK_EVERY)
            if self.spec.log:
                bound(self.spec.log)
        await self.process.kill()
        return self._exit.result()

    async def _relaunch(self, backoff: float) -> bool:
        await asyncio.sleep(backoff)
        try:
            await self._launch()
        except Exception as error:
            log.exception("restart failed", service=self.spec.name, error=str(error))
            return False
        log.info("restarted", service=self.spec.name, pid=self.process and self.process.pid)
        return True

    def _failure(self, what: str) -> ServiceError:
        last = tail(self.spec.log)
        return ServiceError(
            f"{self.spec.name} {what}" + (f"; {self.spec.log} ends with:\n{last}" if last else "")
        )


class Supervisor:
    """Processes in the order of stage and start; leaving the context stops them in the reverse order."""

    def __init__(self, pid_dir: Path) -> None:
        self._pid_dir = pid_dir
        self._hurry = asyncio.Event()
        self._supervised: dict[str, Supervised] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def __getitem__(self, name: str) -> Supervised:
        return self._supervised[name]

    @property
    def pids(self) -> dict[str, int]:
        """The process number of each that runs."""
        return {
            name: one.process.pid
            for name, one in self._supervised.items()
            if one.process and one.process.child.returncode is None
        }

    async def start(self, spec: Spec) -> None:
        """Start a process and return when it is ready; its place in the order is taken at the call.

        Raises:
            ServiceError: it does not become ready.
        """
        pid_file = PidFile(self._pid_dir / f"{spec.name}.json")
        self._supervised[spec.name] = Supervised(spec, pid_file, self._hurry)
        await self._supervised[spec.name].start()

    async def stop(self) -> None:
        """Stop all: by stage, and in each the last started first."""
        for one in sorted(self._supervised.values(), key=lambda one: one.spec.stage)[::-1]:
            await one.stop()

    def hurry(self) -> None:
        """Make `stop` use SIGKILL from now on."""
        self._hurry.set()


async def together(*jobs: Coroutine[Any, Any, None]) -> None:
    """Run jobs side by side; the first that fails cancels the others, and its error is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(job)
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


async def _probe(process: Process) -> None:
    while True:
        try:
            async with asyncio.timeout(PROBE_TIMEOUT):
                return await process.spec.ready(process)
        except ServiceError:
            raise
        except Exception:  # noqa: S110 - any other answer than success means "not yet"
            pass
        await asyncio.sleep(PROBE_EVERY)


def _since(began: float) -> float:
    return round(time.monotonic() - began, 3)
