#!/usr/bin/python
"""Have a Debian cluster of PostgreSQL with data checksums, and refuse one that would be lost or overlooked."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_cluster
short_description: Have a cluster of PostgreSQL with data checksums
description:
  - Creates Debian's cluster VERSION/main with UTF-8, a collation that no upgrade of the C library changes, and what
    /etc/postgresql-common/createcluster.conf says.
  - Refuses a host with a cluster of another version, which would be left behind, and a cluster without data checksums.
  - In check mode it refuses just the same, so that it is a preflight check too.
options:
  version: {description: The major version., type: str, required: true}
  enable_checksums: {description: 'Turn data checksums on where they are off; the server is stopped while all data are read and written.', type: bool, default: false}
author: [Aisha]
"""
EXAMPLES = r"""
- name: Create the cluster
  postgresql_cluster:
    version: "15"
"""
RETURN = r"""
action:
  description: What was done, one of none, create, enable checksums.
  type: str
  returned: always
"""

import os
import re
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.commands import CommandError, run

CONFIGURATIONS = Path("/etc/postgresql")
CREATE = ("--encoding=UTF8", "--locale=C.UTF-8")
INITDB = ("--auth-local=peer", "--auth-host=scram-sha-256")


def other_versions(version: str, configurations: Path = CONFIGURATIONS) -> list[str]:
    """Return the versions that have a main cluster beside the wanted one."""
    found = (path.parent.parent.name for path in configurations.glob("*/main/postgresql.conf"))
    return sorted(each for each in found if each != version)


def has_checksums(control_data: str) -> bool:
    """Tell what pg_controldata says of the pages."""
    found = re.search(r"^Data page checksum version:\s*(\d+)$", control_data, re.MULTILINE)
    return found is not None and found[1] != "0"


class Cluster:
    """The main cluster of one version."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.programs = Path(f"/usr/lib/postgresql/{self.version}/bin")

    def run(self, *command: str | Path) -> str:
        """Run a command in English and return what it prints."""
        return run(*map(str, command), env=os.environ | {"LC_ALL": "C.UTF-8"})

    def exists(self) -> bool:
        """Tell whether it was created."""
        return (CONFIGURATIONS / self.version / "main" / "postgresql.conf").exists()

    def data(self) -> str:
        """Return its data folder."""
        return self.run("pg_conftool", "--short", self.version, "main", "show", "data_directory")

    def has_checksums(self) -> bool:
        """Tell whether a damaged page would be noticed."""
        return has_checksums(self.run(self.programs / "pg_controldata", self.data()))

    def action_needed(self) -> str:
        """Return what brings it to what it shall be."""
        if not self.exists():
            return "create"
        return "none" if self.has_checksums() else "enable checksums"

    def do(self, action: str) -> None:
        """Do what is needed."""
        if action == "create":
            self.create()
        elif action == "enable checksums":
            self.enable_checksums()

    def create(self) -> None:
        """Create it; it is not started yet."""
        self.run("pg_createcluster", *CREATE, self.version, "main", "--", *INITDB)

    def enable_checksums(self) -> None:
        """Stop it and write a checksum into every page; stopped half-way it can be done again."""
        self.run("systemctl", "stop", f"postgresql@{self.version}-main")
        self.run(
            "runuser",
            "-u",
            "postgres",
            "--",
            self.programs / "pg_checksums",
            "--enable",
            "--pgdata",
            self.data(),
        )


def main() -> None:
    """Look, refuse, and do what is needed."""
    module = AnsibleModule(
        supports_check_mode=True,
        argument_spec={
            "version": {"type": "str", "required": True},
            "enable_checksums": {"type": "bool", "default": False},
        },
    )
    cluster = Cluster(module.params["version"])
    if others := other_versions(cluster.version):
        old = others[-1]
        module.fail_json(
            msg=f"a cluster of PostgreSQL {old} is here and postgresql_version is {cluster.version}: move its data with "
            f"`pg_upgradecluster {old} main` and drop it with `pg_dropcluster {old} main`, or set postgresql_version to {old}"
        )
    try:
        action = cluster.action_needed()
        if action == "enable checksums" and not module.params["enable_checksums"]:
            module.fail_json(
                msg=f"cluster {cluster.version}/main has no data checksums: set postgresql_enable_checksums to true for one run; "
                "the server is stopped while all its data are read and written"
            )
        if not module.check_mode:
            cluster.do(action)
    except CommandError as error:
        module.fail_json(msg=str(error))
    after = "" if action == "none" else f"{action}: {cluster.version}/main\n"
    module.exit_json(changed=action != "none", action=action, diff={"before": "", "after": after})


if __name__ == "__main__":
    main()
