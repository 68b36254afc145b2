"""`make bench-roll`: the losses of a steady load while releases and other changes are applied to the rehearsal.

The rehearsal is up (`make rehearsal`). Its bots take webhooks meanwhile. One JSON line per figure; it ends with status
1 when one request has failed, or one update was lost or doubled or not handled.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.roll.client import Target
from tests.bench.roll.committed import Ask, Committed, committed, database
from tests.bench.roll.load import Load
from tests.bench.roll.outcomes import Outcome, Summary
from tests.bench.roll.phases import Phases
from tests.bench.roll.rehearsal import APP, DEBIAN, SANDBOX, Rehearsal, RehearsalError, roll, running
from tests.bench.roll.swarm import Swarm
from tests.bench.roll.voices import Voices

PARTS = ("load", "reload", "one_host", "voices", "swarm")
PHASES = ("control", "deploy", "bad_image", "rollback", "environment", "certificate", "host_restart")
SETTLED_SECONDS = 5
"""Waited after each phase, so that its after-effects count as part of it."""

HANDLED_SECONDS = 600
ROLLS = 3
VOICES_SECONDS = 60
"""All voices are sent within that time."""

SHOWN = 10


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=100_000, help="at least so many in all")
    parser.add_argument("--rate", type=float, default=500, help="a second")
    parser.add_argument("--phases", nargs="+", choices=PHASES, default=PHASES)
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=PARTS, help="all but those named are left out"
    )
    parser.add_argument("--voices", type=int, default=200, help="so many")
    parser.add_argument("--database", help="its address, where it is not asked over its own host")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aisha-") as folder:
        rehearsal = Rehearsal(Path(folder))
        ask = database(options.database) if options.database else rehearsal.rows
        try:
            target = rehearsal.target()
            phases = Phases(rehearsal, target)
            phases.begin()
            parts = {
                "load": lambda: under_load(phases, target, ask, options),
                "reload": lambda: reloaded(phases, target, ask, options.rate),
                "one_host": lambda: one_host(phases),
                "voices": lambda: spoken_to(phases, options.voices),
                "swarm": lambda: by_swarm(phases, target, ask, options.rate),
            }
            with_losses = [name for name in PARTS if name in options.parts and not parts[name]()]
            phases.end()
        except RehearsalError as error:
            sys.exit(str(error))
        except subprocess.CalledProcessError as error:
            sys.exit(f"{error.cmd} ended with {error.returncode}: {error.stderr}")
    sys.exit(1 if with_losses else 0)


def under_load(phases: Phases, target: Target, ask: Ask, options: argparse.Namespace) -> bool:
    """Go through the phases while updates come, print their figures, and return whether none was lost.

    Raises:
        RehearsalError: a phase did not go as expected; the figures so far are printed.
    """
    with Load(target, rate=options.rate) as load:
        trouble = None
        try:
            go_through(load, {name: phases.named(name) for name in options.phases})
            load.phase("after")
            while load.count() < options.requests:
                time.sleep(1)
        except RehearsalError as error:
            trouble = error
        load.stop()
    of_phases(load)
    well = in_all("", load.outcomes, ask)
    if trouble:
        raise trouble
    return well


def go_through(load: Load, steps: dict[str, Callable[[], None]]) -> None:
    """Run the phases one after the other under load, and print how long each took."""
    for name, step in steps.items():
        load.phase(name)
        began = time.monotonic()
        step()
        figure(f"{name}_took", time.monotonic() - began, "s")
        time.sleep(SETTLED_SECONDS)


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


def one_host(phases: Phases) -> bool:
    """Roll only the bots of one host, there and back; print how long that took, and how long their start took."""
    before = running(APP[0])
    phases.environment()
    rolls = [roll(APP[0], release) for release in (before, running(APP[0])) * ROLLS]
    beside = statistics.median(each["seconds"] - each["seconds_until_ready"] for each in rolls)
    own = statistics.median(each["seconds_until_ready"] for each in rolls)
    figure(
        "one_host_beside", beside, "s", f"median of {len(rolls)}; {own:.1f} s until the new bots were ready"
    )
    return True


def by_swarm(phases: Phases, target: Target, ask: Ask, rate: float) -> bool:
    """Have Docker Swarm do what our releases do, under the same load, and print the same figures of it.

    Swarm's losses do not count as ours: it returns true.
    """
    if not phases.newer:
        phases.deploy()
        phases.rollback()
    with Swarm(APP[1], [APP[0]], phases.newer, DEBIAN) as swarm, Load(target, rate=rate) as load:
        steps = (phases.control, swarm.deploy, swarm.bad_image, swarm.rollback)
        go_through(load, {f"swarm_{step.__name__}": step for step in steps})
        load.stop()
        of_phases(load)
        in_all("swarm_", load.outcomes, ask)
    return True


def spoken_to(phases: Phases, count: int) -> bool:
    """Deploy and roll back while voices arrive; print their outcomes, and return whether each was answered once."""
    with Voices(SANDBOX, count, count / VOICES_SECONDS) as voices:
        for name in ("deploy", "rollback"):
            time.sleep(SETTLED_SECONDS)
            phases.named(name)()
        answered = voices.answered()
    figure("voices_unanswered", answered.unanswered, "voices", f"of {answered.sent}")
    figure("voices_doubled", answered.doubled, "voices")
    figure("voices_word_errors", 100 * answered.word_errors, "%")
    return not answered.unanswered and not answered.doubled


def of_phases(load: Load) -> None:
    """Print the figures of each phase of a load that was stopped."""
    for name, outcomes in load.phases.items():
        of_phase(name, Summary.of(outcomes))


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
