#!/usr/bin/env python3
"""Runs scenarios one after the other, each with its log in a file, and prints a line for each; all, or those named.

On a failure it prints the end of the scenario's log, goes on with the others, and ends with status 1. A Docker engine
that it had to start is stopped again, and nothing is left of the hosts.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import hosts

ROOT = Path(__file__).parents[2]
LOGS = ROOT / ".cache" / "molecule"
LAST = ("site",)
"""What needs every role is run after all of them."""

SHOWN_LINES = 120


def scenarios() -> list[str]:
    """Return every scenario's name, in the order of a run."""
    found = sorted(path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml"))
    return [name for name in found if name not in LAST] + [name for name in LAST if name in found]


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
    print(
        f"{scenario:16} {'passed' if status == 0 else 'FAILED'} {took:>6}  {log.relative_to(ROOT)}",
        flush=True,
    )
    if status:
        print("\n".join(log.read_text(errors="replace").splitlines()[-SHOWN_LINES:]), flush=True)
    return status == 0


def main() -> None:
    """Run them."""
    LOGS.mkdir(parents=True, exist_ok=True)
    found_running = hosts.engine_runs()
    hosts.start_engine()
    try:
        hosts.make_images((*hosts.RELEASES, "apt-cache"))
        results = [passed(scenario) for scenario in sys.argv[1:] or scenarios()]
    finally:
        if not found_running:
            hosts.take_down([], everything=True)
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
