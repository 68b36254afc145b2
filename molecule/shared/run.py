#!/usr/bin/env python3
"""Runs scenarios, three at a time, each with its log in a file, and prints a line for each; all, or those named.

Most of a scenario is waiting. What starts bots and workers comes after the others. On a failure it prints the end of the scenario's log,
goes on with the others, and ends with status 1. A Docker engine that it had to start is stopped again, and nothing is left of the hosts.
"""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hosts

ROOT = Path(__file__).parents[2]
LOGS = ROOT / ".cache" / "molecule"
EARLY = ("images", "minio", "one-host", "nginx", "registry", "postgresql")
"""What takes longest, which is begun first."""

LATER = ("site", "bot", "worker", "certificates", "models", "redis")
"""What is run after all others: three that wait for containers that must be ready in time, then some that need little, and take what
the longest of those leaves idle."""

AT_A_TIME = 3
SHOWN_LINES = 120


def scenarios() -> list[str]:
    """Return every scenario's name, those of EARLY first."""
    found = {path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml")}
    return [*EARLY, *sorted(found.difference(EARLY))]


def passed(scenario: str) -> bool:
    """Run one scenario and tell whether all of it passed."""
    began = time.monotonic()
    log = LOGS / f"{scenario}.log"
    with log.open("w") as file:
        command = ("molecule", "test", "--scenario-name", scenario)
        environment = os.environ | {"NO_COLOR": "1", "ANSIBLE_NOCOLOR": "1"}
        status = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT
        ).returncode
    took = f"{time.monotonic() - began:.0f} s"
    shown = log.read_text(errors="replace").splitlines()[-SHOWN_LINES:] if status else []
    told = f"{scenario:16} {'passed' if status == 0 else 'FAILED'} {took:>6}  {log.relative_to(ROOT)}"
    print("\n".join([told, *shown]), flush=True)
    return status == 0


def main() -> None:
    """Run them."""
    LOGS.mkdir(parents=True, exist_ok=True)
    found_running = hosts.engine_runs()
    hosts.start_engine()
    try:
        hosts.make_images(hosts.KINDS)
        wanted = sys.argv[1:] or scenarios()
        first = [name for name in wanted if name not in LATER]
        results = []
        for group in (first, [name for name in LATER if name in wanted]):
            with ThreadPoolExecutor(AT_A_TIME) as pool:
                results += pool.map(passed, group)
    finally:
        if not found_running:
            hosts.take_down([], everything=True)
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
