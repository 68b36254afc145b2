"""`make bench-site`: how long the site and the roles take on test hosts, one JSON line per figure."""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
HOSTS = ROOT / "molecule" / "shared" / "hosts.py"
BIN = Path(sys.executable).parent
REHEARSAL = ROOT / "inventories" / "rehearsal"
ONE_HOST = ROOT / "molecule" / "one-host" / "inventory"
PARTS = ("site", "roles")
CHANGED = re.compile(r"changed=(\d+)")


def figure(name: str, value: float, unit: str, note: str) -> None:
    """Print one figure."""
    line = {
        "figure": name,
        "value": round(value, 1),
        "unit": unit,
        "note": note,
        "command": "make bench-site",
    }
    print(json.dumps(line), flush=True)


def hosts(verb: str, *arguments: str) -> None:
    subprocess.run((sys.executable, HOSTS, verb, *arguments), check=True)


def inventory(folder: Path, source: Path) -> list[str]:
    """Write a copy of an inventory with the rehearsal's settings and the benchmark's own hosts; return these."""
    (folder / "group_vars").symlink_to(REHEARSAL / "group_vars")
    everything = yaml.safe_load((source / "hosts.yml").read_text())
    groups = everything["all"]["children"]["servers"]["children"].values()
    for group in groups:
        group["hosts"] = {f"bench-{name}": {} for name in group["hosts"]}
    (folder / "hosts.yml").write_text(yaml.safe_dump(everything))
    return sorted({name for group in groups for name in group["hosts"]})


def play(playbook: str, folder: Path) -> tuple[float, int]:
    """Run a playbook; return its seconds and how many tasks changed something."""
    began = time.monotonic()
    command = (BIN / "ansible-playbook", "-i", folder, playbook)
    environment = os.environ | {"ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        sys.exit(f"{playbook} failed:\n{done.stdout[-4000:]}{done.stderr[-2000:]}")
    recap = done.stdout.rpartition("PLAY RECAP")[2]
    return time.monotonic() - began, sum(map(int, CHANGED.findall(recap)))


def site() -> None:
    """Everything on one bare host, then services and app on three; each a second time, with nothing to change."""
    play("molecule/site/prepare.yml", REHEARSAL)
    try:
        for title, source in (("one_host", ONE_HOST), ("three_hosts", REHEARSAL)):
            one_site(title, source)
    finally:
        play("molecule/site/cleanup.yml", REHEARSAL)


def one_site(title: str, source: Path) -> None:
    """Run the site on bare hosts, and again."""
    with tempfile.TemporaryDirectory() as folder:
        names = inventory(Path(folder), source)
        hosts("up", *(f"{name}=trixie" for name in names))
        try:
            for run in ("bare", "no_change"):
                seconds, changed = play("site.yml", Path(folder))
                figure(f"site_{run}_{title}", seconds, "s", f"{changed} tasks changed something")
        finally:
            hosts("down", *names)


def roles(wanted: list[str]) -> None:
    """Measure the whole cycle of each role, on both releases."""
    times = {}
    for scenario in wanted:
        began = time.monotonic()
        environment = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}", "NO_COLOR": "1"}
        command = (BIN / "molecule", "test", "--scenario-name", scenario)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            sys.exit(f"{scenario} failed:\n{done.stdout[-4000:]}")
        times[scenario] = time.monotonic() - began
        figure(
            f"role_cycle_{scenario}",
            times[scenario],
            "s",
            "create, check, converge twice, verify, destroy; both releases",
        )
    figure("role_cycle_median", statistics.median(times.values()), "s", f"{len(times)} roles")


def main() -> None:
    """Measure the parts that are asked for."""
    known = sorted(path.name for path in (ROOT / "roles").iterdir())
    parser = argparse.ArgumentParser(prog="make bench-site", description=__doc__.split("\n")[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="all unless named")
    parser.add_argument("--roles", nargs="+", choices=known, default=known, help="all unless named")
    options = parser.parse_args()
    hosts("images")
    if "site" in options.parts:
        site()
    if "roles" in options.parts:
        roles(options.roles)


if __name__ == "__main__":
    main()
