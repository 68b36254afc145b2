"""One child process: how it is started, found ready and stopped."""

import asyncio
import ctypes
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from aisha_embedded import sessions
from aisha_embedded.output import open_log

PR_SET_PDEATHSIG = 1  # prctl(2)


async def nothing() -> None:
    """Do nothing: the default of a spec's hooks."""


async def at_once(_: "Process") -> None:
    """Call a process ready as soon as it runs."""


@dataclass(frozen=True)
class Spec:
    """What to run and how to know that it works.

    `ready` is called again and again until it returns; a `ServiceError` from it ends the attempt, every other
    error means "not yet". `prepare` runs before each start, `clean` after the last stop. `later` is an environment not
    known yet: the child is started at once and reads it as a line of JSON from its standard input. A higher
    `stage` is stopped earlier. Times are in seconds.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    ready: Callable[["Process"], Awaitable[None]]
    prepare: Callable[[], Awaitable[None]] = nothing
    clean: Callable[[], Awaitable[None]] = nothing
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10
    start_seconds: float = 30
    uid: int | None = None
    gid: int | None = None
    log: Path | None = None
    cwd: str | None = None
    read_stdout: bool = False
    later: Awaitable[Mapping[str, str]] | None = None
    stage: int = 0


@dataclass
class Process:
    """A started spec: leader of its own session, so that a terminal's Ctrl-C does not reach it."""

    spec: Spec
    child: asyncio.subprocess.Process
    ready_line: asyncio.Future[str] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    @classmethod
    async def start(cls, spec: Spec) -> "Process":
        """Start the child; it dies with this process, even when that is killed by SIGKILL."""
        output = open_log(spec.log) if spec.log else os.dup(2)
        try:
            child = await asyncio.create_subprocess_exec(
                *spec.argv,
                env=spec.env,
                cwd=spec.cwd,
                stdin=asyncio.subprocess.PIPE if spec.later else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if spec.read_stdout else output,
                stderr=output,
                start_new_session=True,
                user=spec.uid,
                group=spec.gid,
                extra_groups=[] if spec.uid is not None else None,
                preexec_fn=_die_with_parent(),
            )
        finally:
            os.close(output)
        return cls(spec, child)

    @property
    def pid(self) -> int:
        """The process id, which is also the session id."""
        return self.child.pid

    async def let_go(self) -> None:
        """Send a child that waits for it the rest of its environment."""
        if self.spec.later and self.child.stdin:
            line = json.dumps(dict(await asyncio.shield(self.spec.later))) + "\n"
            with suppress(ConnectionError):  # it has ended, and its exit status is reported
                self.child.stdin.write(line.encode())
                await self.child.stdin.drain()
                self.child.stdin.close()

    async def let_go_or_end(self) -> None:
        """Do as `let_go` does, but also return if the child ends before its environment is known."""
        waits = [asyncio.ensure_future(self.let_go()), asyncio.ensure_future(self.child.wait())]
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            done.pop().result()
        finally:
            for wait in waits:
                wait.cancel()

    async def wait(self) -> int:
        """Return the exit status; meanwhile pass the child's standard output on to our standard error."""
        if self.child.stdout:
            async for line in self.child.stdout:
                self._line(line.decode(errors="replace"))
        return await self.child.wait()

    async def stop(self, hurry: asyncio.Event) -> None:
        """Ask it to stop; SIGKILL what is left of its session when it is late or `hurry` is set."""
        if self.child.returncode is None:
            sessions.send(self.pid, self.spec.stop_signal)
            waits = [asyncio.ensure_future(self.child.wait()), asyncio.ensure_future(hurry.wait())]
            await asyncio.wait(waits, timeout=self.spec.stop_seconds, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
        await self.kill()

    async def kill(self) -> None:
        """Send SIGKILL to all of its session and reap it."""
        if self.child.returncode is None:
            sessions.send(self.pid, signal.SIGKILL)
            await self.child.wait()
        await sessions.kill(self.pid)

    def _line(self, line: str) -> None:
        if line.startswith("ready ") and not self.ready_line.done():
            self.ready_line.set_result(line.removeprefix("ready ").strip())
        else:
            sys.stderr.write(line)


def _die_with_parent() -> Callable[[], None] | None:
    """Return a hook for the child between fork and exec: SIGKILL me when my parent dies (Linux only).

    It runs after the change of user, which would clear the setting.
    """
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def hook() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return hook
