#!/usr/bin/env python3
"""Runs scenarios, and with `--app` the app's tests beside them: three at a time, each with its log in a file and a line for each.

Three keep two processors busy, so there is one list, the longest first. On a failure it prints the end of the log, goes on with the
others, and ends with status 1. A Docker engine that it had to start is stopped again, and nothing is left of the hosts.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TextIO

import hosts

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
LOGS = ROOT / ".cache" / "molecule"
APP = ("integration", "e2e")
"""The app's tests, by their folders."""

ORDER = ("site", *APP, "one-host", "images", "worker", "bot", "registry", "nginx", "postgresql", "minio")
"""What takes longest, which is begun first; the rest follows."""

LIGHT = ("certificates", "models", "redis")
"""What is begun last, so that little is left to wait for at the end."""

SITE_USERS = ("one-host", "worker", "bot")
"""These take the image and the secrets that the site makes: both cannot be made by two at a time."""

SITE_CONVERGED = "[site > idempotence]"
"""What Molecule logs when they are made."""

AT_A_TIME = 3
SHOWN_LINES = 120


def in_order(names: Sequence[str]) -> list[str]:
    """Return the names in the order in which they are begun."""
    first = [name for name in ORDER if name in names]
    last = [name for name in LIGHT if name in names]
    return [*first, *sorted(set(names).difference(ORDER, LIGHT)), *last]


def scenarios() -> list[str]:
    """Return every scenario's name."""
    return [path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml")]


def log_of(name: str) -> Path:
    """Return where the output of a scenario or of tests goes."""
    return LOGS / f"{name}.log"


class Waiting:
    """What was not begun yet. Who must wait for the site lets the next one go first."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = in_order(names)
        self._site_is_due = "site" in names
        self._lock = threading.Lock()

    def take(self) -> str | None:
        """Return what to begin now, when it may begin; None when nothing is left."""
        while self._names:
            with self._lock:
                name = next((name for name in self._names if self._may_begin(name)), None)
                if name:
                    self._names.remove(name)
                    return name
            time.sleep(1)
        return None

    def _may_begin(self, name: str) -> bool:
        return name not in SITE_USERS or not self._site_is_due or site_has_converged()

    def end(self, name: str) -> None:
        """Know that one is over, however it went."""
        if name == "site":
            self._site_is_due = False


def site_has_converged() -> bool:
    """Tell whether the site that runs has made what others take."""
    return log_of("site").exists() and SITE_CONVERGED in log_of("site").read_text(errors="replace")


def run(name: str, log: TextIO) -> int:
    """Run a scenario, or tests of the app, and return its status."""
    command = (BIN / "molecule", "test", "--scenario-name", name)
    environment = {"PATH": f"{BIN}:{os.environ['PATH']}", "NO_COLOR": "1", "ANSIBLE_NOCOLOR": "1"}
    if name in APP:
        command, environment = (BIN / "pytest", f"tests/{name}"), {}
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, stdout=log, stderr=subprocess.STDOUT
    ).returncode


def passed(name: str) -> bool:
    """Run one and tell whether all of it passed."""
    began = time.monotonic()
    with log_of(name).open("w") as log:
        status = run(name, log)
    took = f"{time.monotonic() - began:.0f} s"
    shown = log_of(name).read_text(errors="replace").splitlines()[-SHOWN_LINES:] if status else []
    told = f"{name:16} {'passed' if status == 0 else 'FAILED'} {took:>6}  {log_of(name).relative_to(ROOT)}"
    print("\n".join([told, *shown]), flush=True)
    return status == 0


def all_passed(names: Sequence[str]) -> bool:
    """Run them and tell whether all passed."""
    waiting, results = Waiting(names), []

    def go_on() -> None:
        while name := waiting.take():
            results.append(passed(name))
            waiting.end(name)

    for log in map(log_of, names):
        log.unlink(missing_ok=True)
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for slot in [pool.submit(go_on) for _ in range(AT_A_TIME)]:
            slot.result()
    return all(results)


def main() -> None:
    """Run those that are named, or every scenario."""
    LOGS.mkdir(parents=True, exist_ok=True)
    with_app = "--app" in sys.argv
    named = [name for name in sys.argv[1:] if name != "--app"]
    found_running = hosts.engine_runs()
    hosts.start_engine()
    try:
        hosts.make_images(hosts.KINDS)
        passed_all = all_passed([*(APP if with_app else ()), *(named or scenarios())])
    finally:
        if not found_running:
            hosts.take_down([], everything=True)
    sys.exit(0 if passed_all else 1)


if __name__ == "__main__":
    main()
