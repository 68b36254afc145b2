"""The other side of `drive.py`: starts it, talks to it, looks at its processes."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

from aisha_embedded import sessions

DRIVE = Path(__file__).with_name("drive.py")


class Driven:
    """A started `drive.py`."""

    def __init__(self, *arguments: str, **env: str) -> None:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("AISHA_")}
        self.child = subprocess.Popen(
            [sys.executable, str(DRIVE), *arguments],
            env=clean | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def line(self, seconds: float = 60) -> str:
        """Return the next line of standard output, or all of standard error if there is none."""
        assert self.child.stdout
        assert select.select([self.child.stdout], [], [], seconds)[0], "no line"
        return self.child.stdout.readline() or self.end()[1]

    def json(self) -> dict[str, dict[str, str]]:
        return json.loads(self.line())

    def signal(self, number: signal.Signals) -> None:
        self.child.send_signal(number)

    def kill(self) -> None:
        """Kill the supervisor alone, as `kill -9` does, and wait for its death."""
        self.child.kill()
        self.child.wait()

    def end(self, seconds: float = 60) -> tuple[int, str, str]:
        """Wait for its end; return status, standard output and standard error."""
        out, err = self.child.communicate(timeout=seconds)
        return self.child.returncode, err, out

    def descendants(self) -> list[psutil.Process]:
        """Return every process of the tree but the supervisor: children and all of their sessions."""
        found = []
        for child in psutil.Process(self.child.pid).children():
            for pid in sessions.members(child.pid):
                with suppress(psutil.NoSuchProcess):  # it has just ended
                    found.append(psutil.Process(pid))
        return found

    def running(self, word: str) -> list[psutil.Process]:
        """Return those of them whose command line has a word."""
        found = []
        for process in self.descendants():
            with suppress(psutil.NoSuchProcess):
                found += [process] if word in process.cmdline() else []
        return found


def all_gone(processes: list[psutil.Process], seconds: float = 5) -> bool:
    """Tell whether all have ended within this time; a zombie has."""
    deadline = time.monotonic() + seconds
    while any(sessions.alive(p.pid) and p.is_running() for p in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
