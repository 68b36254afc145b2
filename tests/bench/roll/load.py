"""A load in processes of its own, with phases that are marked from here."""

import bisect
import contextlib
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from tests.bench.roll.client import Target
from tests.bench.roll.generator import Settings
from tests.bench.roll.outcomes import Outcome
from tests.bench.roll.updates import first_id

ROOT = Path(__file__).parents[3]
END_SECONDS = 180
"""Longer than the generator gives the last request."""


class Load:
    """Updates that are posted to a target as long as the context lasts.

    1. A relay and a generator are started, each in a process of its own; they end with this process at the latest.
    2. `phase` says what goes on from now on; a request belongs to the phase in which it was due.
    3. `stop` sends no more and waits for the last answer. Then `phases` has the outcomes.
    """

    def __init__(
        self, target: Target, *, rate: float = 500, delay: float = 0.05, retry: bool = False
    ) -> None:
        self._target, self._rate, self._delay, self._retry = target, rate, delay, retry
        self._marks: list[tuple[float, str]] = []
        self.phases: dict[str, list[Outcome]] = {}

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._file = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aisha-"))) / "outcomes"
            relay = _start("relay", self._target.host, str(self._target.port), f"--delay={self._delay}")
            stack.callback(_end, relay)
            assert relay.stdout
            settings = Settings(
                self._target, int(relay.stdout.readline()), first_id(), self._rate, self._retry
            )
            with self._file.open("w") as file:
                self._generator = _start("generator", stdout=file)
            stack.callback(_end, self._generator)
            assert self._generator.stdin
            self._generator.stdin.write(settings.line())
            self._generator.stdin.flush()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def phase(self, name: str) -> None:
        """Start the next phase."""
        self._marks.append((time.monotonic(), name))

    def count(self) -> int:
        """Return approximately how many requests have ended: the generator writes many at once.

        Raises:
            RuntimeError: the generator has ended.
        """
        if self._generator.poll() is not None:
            raise RuntimeError(f"the load has ended with {self._generator.returncode}")
        with self._file.open("rb") as file:
            return sum(1 for _ in file)

    def stop(self) -> dict[str, list[Outcome]]:
        """Send no more, wait for the last answer, and return the outcomes of each phase.

        Raises:
            RuntimeError: the generator has failed.
        """
        _end(self._generator, END_SECONDS)
        if self._generator.returncode:
            raise RuntimeError(f"the load has ended with {self._generator.returncode}")
        times = [at for at, _ in self._marks]
        self.phases = {name: [] for _, name in self._marks} or {"load": []}
        names = [name for _, name in self._marks] or ["load"]
        with self._file.open() as file:
            for outcome in map(Outcome.of, file):
                index = max(0, bisect.bisect_right(times, outcome.scheduled) - 1)
                self.phases[names[index]].append(outcome)
        return self.phases

    @property
    def outcomes(self) -> list[Outcome]:
        """All of them, after `stop`."""
        return [one for phase in self.phases.values() for one in phase]


def _start(module: str, *arguments: str, stdout: int | IO[str] = subprocess.PIPE) -> "subprocess.Popen[str]":
    """Start a module of this package, with room for many connections.

    Its session is its own, so that Ctrl-C is this process's to handle.
    """
    process = subprocess.Popen(
        (sys.executable, "-m", f"tests.bench.roll.{module}", *arguments),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=stdout,
        text=True,
        start_new_session=True,
    )
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (most, most))
    return process


def _end(process: "subprocess.Popen[str]", seconds: float = 0) -> None:
    """End a process by closing its stdin, and kill it after a timeout."""
    assert process.stdin
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()
