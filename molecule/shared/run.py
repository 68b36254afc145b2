#!/usr/bin/env python3
"""Runs scenarios, three at a time, each with its log in a file, and prints a line for each; all, or those named.

Most of a scenario is waiting. What starts bots and workers comes after the others, and what needs every role last and alone. On a failure it
prints the end of the scenario's log, goes on with the others, and ends with status 1. A Docker engine that it had to start is stopped
again, and nothing is left of the hosts.
"""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import hosts

ROOT = Path(__file__).parents[2]
LOGS = ROOT / ".cache" / "molecule"
LATER = (("bot", "worker"), ("site",))
"""What is run after all others, one group after the other: these wait for containers that must be ready in time."""

AT_A_TIME = 3
SHOWN_LINES = 120


def scenarios() -> list[str]:
    """Return every scenario's name."""
    return sorted(path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml"))


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
        first = [name for name in wanted if name not in chain(*LATER)]
        results = []
        for group in (first, *LATER):
            with ThreadPoolExecutor(AT_A_TIME) as pool:
                results += pool.map(passed, [name for name in group if name in wanted])
    finally:
        if not found_running:
            hosts.take_down([], everything=True)
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
