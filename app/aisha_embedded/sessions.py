"""Processes by session: what a supervised process has started stays in its session, even after its death.

Process groups would miss RQ's work-horses, which make their own; parent links are lost when a parent dies.
"""

import asyncio
import json
import os
import signal
from contextlib import suppress
from pathlib import Path

import psutil

CLOCK_SLACK = 2.0  # seconds that two readings of one process's start may differ
POLL = 0.02


def members(session: int) -> list[int]:
    """Return the living processes of a session."""
    return [pid for pid in psutil.pids() if _session(pid) == session and alive(pid)]


def alive(pid: int) -> bool:
    """Tell whether the process exists and is no zombie."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


async def kill(session: int, timeout: float = 5.0) -> None:  # noqa: ASYNC109 - a signal cannot be cancelled
    """Send SIGKILL to every process of a session and wait until they are gone."""
    deadline = asyncio.get_running_loop().time() + timeout
    while (left := members(session)) and asyncio.get_running_loop().time() < deadline:
        for pid in left:
            send(pid, signal.SIGKILL)
        await asyncio.sleep(POLL)


def send(pid: int, number: signal.Signals) -> None:
    """Signal a process that may be gone."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


class PidFile:
    """Remembers a session's leader across runs, to find what a SIGKILLed supervisor left behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, pid: int) -> None:
        """Record the process."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        started = psutil.Process(pid).create_time()
        self.path.write_text(json.dumps({"pid": pid, "started": started}))

    def remove(self) -> None:
        """Forget the process."""
        self.path.unlink(missing_ok=True)

    async def end_leftover(self, stop: signal.Signals, grace: float) -> bool:
        """End what is left of the recorded session: its leader with `stop`, after `grace` seconds all of it.

        Returns whether anything was left. A process that merely reuses the recorded id is not touched.
        """
        record = self._read()
        if record is None:
            return False
        pid, started = record
        if leader := _running(pid):
            if abs(leader.create_time() - started) > CLOCK_SLACK:
                return False
            send(pid, stop)
            await _gone(pid, grace)
        left = bool(leader or members(pid))
        await kill(pid)
        self.remove()
        return left

    def _read(self) -> tuple[int, float] | None:
        try:
            record = json.loads(self.path.read_text())
            return int(record["pid"]), float(record["started"])
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _running(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid) if alive(pid) else None
    except psutil.NoSuchProcess:
        return None


async def _gone(pid: int, seconds: float) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while alive(pid) and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - no event to wait for
        await asyncio.sleep(POLL)


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None
