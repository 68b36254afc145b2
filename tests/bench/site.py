"""`make bench-site`: how long the site and the roles take on test hosts, one JSON line per figure."""

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


def inventory(folder: Path, names: list[str]) -> Path:
    """Write an inventory like the rehearsal's, with all groups on all of the hosts."""
    (folder / "group_vars").symlink_to(REHEARSAL / "group_vars")
    everything = yaml.safe_load((REHEARSAL / "hosts.yml").read_text())
    for group in everything["all"]["children"]["servers"]["children"].values():
        group["hosts"] = dict.fromkeys(names, {})
    (folder / "hosts.yml").write_text(yaml.safe_dump(everything))
    return folder


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
    """Everything on one bare host; then nothing to change on three."""
    play("molecule/site/prepare.yml", REHEARSAL)
    for names, bare in ((["bench-one"], True), (["bench-one", "bench-two", "bench-three"], False)):
        with tempfile.TemporaryDirectory() as folder:
            place = inventory(Path(folder), names)
            hosts("up", *(f"{name}=trixie" for name in names))
            try:
                seconds, _ = play("site.yml", place)
                if bare:
                    figure("site_bare_one_host", seconds, "s", "all groups on one host of Debian 13")
                    continue
                seconds, changed = play("site.yml", place)
                figure("site_no_change_three_hosts", seconds, "s", f"{changed} tasks changed something")
            finally:
                hosts("down", *names)


def roles() -> None:
    """Measure each role's whole cycle on both releases."""
    times = {}
    for scenario in sorted(path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml")):
        if not (ROOT / "roles" / scenario).is_dir():
            continue
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


if __name__ == "__main__":
    hosts("images")
    site()
    roles()
