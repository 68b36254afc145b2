"""Runs a scenario's playbooks again, as its tests need it."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any, NamedTuple


class Played(NamedTuple):
    """What came of a playbook's run."""

    succeeded: bool
    said: str
    """All that Ansible said, with single spaces instead of line ends."""

    @property
    def changes(self) -> list[int]:
        """Return how many tasks changed something, for each host."""
        return [int(number) for number in re.findall(r"changed=(\d+)", self.said)]


def play(
    playbook: str = "converge.yml",
    limit: str | None = None,
    inventory: Path | None = None,
    check: bool = False,
    **variables: Any,
) -> Played:
    """Run a playbook of the scenario with other variables, for all its hosts or one, as Molecule does."""
    command = [
        "ansible-playbook",
        f"--inventory={inventory or os.environ['MOLECULE_INVENTORY_FILE']}",
        f"--extra-vars={json.dumps(variables)}",
        *([f"--limit={limit}"] if limit else []),
        *(["--check"] if check else []),
        f"{os.environ['MOLECULE_SCENARIO_DIRECTORY']}/{playbook}",
    ]
    settings = {
        "ANSIBLE_CONFIG": f"{os.environ['MOLECULE_EPHEMERAL_DIRECTORY']}/ansible.cfg",
        "ANSIBLE_FORCE_COLOR": "0",
        "ANSIBLE_NOCOLOR": "1",
    }
    done = subprocess.run(
        command,
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Played(done.returncode == 0, " ".join(done.stdout.split()))
