"""`make bench-roll`: what is lost of a steady load while releases and other changes go over the rehearsal.

The rehearsal is up (`make rehearsal`). Its bots take webhooks meanwhile. One JSON line per figure; it ends with status
1 when one request has failed, or one update was lost or doubled or not handled.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.roll.client import Target
from tests.bench.roll.committed import Ask, Committed, committed, database
from tests.bench.roll.load import Load
from tests.bench.roll.outcomes import Outcome, Summary
from tests.bench.roll.phases import Phases
from tests.bench.roll.rehearsal import Rehearsal, RehearsalError

PHASES = ("control", "deploy", "bad_image", "rollback", "environment", "certificate", "host_restart")
SETTLED_SECONDS = 5
"""After each phase, so that what it leaves behind is counted with it."""

HANDLED_SECONDS = 600
SHOWN = 10


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=100_000, help="at least so many in all")
    parser.add_argument("--rate", type=float, default=500, help="a second")
    parser.add_argument("--phases", nargs="+", choices=PHASES, default=PHASES)
    parser.add_argument("--no-reload", action="store_true", help="without the reload of the proxy at the end")
    parser.add_argument("--database", help="its address, where it is not asked over its own host")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aisha-") as folder:
        rehearsal = Rehearsal(Path(folder))
        ask = database(options.database) if options.database else rehearsal.rows
        try:
            target = rehearsal.target()
            phases = Phases(rehearsal, target)
            phases.begin()
            well = under_load(phases, target, ask, options)
            well &= options.no_reload or reloaded(phases, target, ask, options.rate)
            phases.end()
        except RehearsalError as error:
            sys.exit(str(error))
        except subprocess.CalledProcessError as error:
            sys.exit(f"{error.cmd} ended with {error.returncode}: {error.stderr}")
    sys.exit(0 if well else 1)


def under_load(phases: Phases, target: Target, ask: Ask, options: argparse.Namespace) -> bool:
    """Go through the phases while updates come, print their figures, and return whether none was lost.

    Raises:
        RehearsalError: a phase went otherwise than it must; the figures until then are printed.
    """
    with Load(target, rate=options.rate) as load:
        trouble = None
        try:
            for name in options.phases:
                load.phase(name)
                began = time.monotonic()
                phases.named(name)()
                figure(f"{name}_took", time.monotonic() - began, "s")
                time.sleep(SETTLED_SECONDS)
            load.phase("after")
            while load.count() < options.requests:
                time.sleep(1)
        except RehearsalError as error:
            trouble = error
        outcomes = load.stop()
    for name, some in outcomes.items():
        of_phase(name, Summary.of(some))
    well = in_all("", load.outcomes, ask)
    if trouble:
        raise trouble
    return well


def reloaded(phases: Phases, target: Target, ask: Ask, rate: float) -> bool:
    """Reload the proxy while a sender that repeats posts updates; return whether all came in the end."""
    with Load(target, rate=rate, retry=True) as load:
        load.phase("reload")
        phases.reload()
        load.stop()
    summary = Summary.of(load.outcomes)
    figure(
        "reload_repeated", summary.repeated, "requests", f"of {summary.sent}; longest {summary.longest:.1f} s"
    )
    return in_all("reload_", load.outcomes, ask)


def of_phase(name: str, summary: Summary) -> None:
    """Print a phase's figures."""
    figure(f"{name}_failed", summary.failed, "requests", f"of {summary.sent}{_why(summary)}")
    late = f"sent up to {1000 * summary.late_p99:.0f} ms late but for 1 %"
    figure(f"{name}_p50", 1000 * summary.p50, "ms", "from when it was due")
    figure(f"{name}_p99", 1000 * summary.p99, "ms", f"longest {1000 * summary.longest:.0f}; {late}")


def _why(summary: Summary) -> str:
    if not summary.failed:
        return ""
    return f"; {summary.reasons}, by connection {summary.by_kind}, by second {summary.by_second}"


def in_all(prefix: str, outcomes: list[Outcome], ask: Ask) -> bool:
    """Print the figures of all updates together, and return whether each was acknowledged and handled once."""
    found = committed(ask, (one.update_id for one in outcomes), HANDLED_SECONDS)
    failed = sum(not one.ok for one in outcomes)
    figure(f"{prefix}requests", len(outcomes), "requests")
    figure(f"{prefix}failed", failed, "requests")
    for name, ids in vars(found).items():
        figure(f"{prefix}{name}", len(ids), "updates", _examples(ids))
    return not failed and found == Committed([], [], [])


def _examples(ids: list[int]) -> str:
    return ", ".join(map(str, ids[:SHOWN]))


def figure(name: str, value: float, unit: str, note: str = "") -> None:
    """Print one figure."""
    line = {
        "figure": f"roll_{name}",
        "value": round(value, 1),
        "unit": unit,
        "note": note,
        "command": "make bench-roll",
    }
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
