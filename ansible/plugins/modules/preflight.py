#!/usr/bin/python
"""Refuse a host that a role cannot be applied to, before anything is changed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Refuse a host that a role cannot be applied to
description:
  - Checks what the variables say, the Debian release, that ports are free or belong to the service that shall have them, and
    free disk space.
  - Never changes anything; every problem is reported at once, each with the variable that it comes from.
  - Tells which packages are missing, so that a role asks apt, which takes a second to read its lists, for those alone.
options:
  require:
    description: What must be true of the variables.
    type: list
    elements: dict
    default: []
    suboptions:
      that: {description: An expression's value., type: bool, required: true}
      problem: {description: What to say when it is false; it names the variable and the fix., type: str, required: true}
  releases:
    description: Debian releases, by code name, that are supported.
    type: list
    elements: str
    default: [bookworm, trixie]
  ports:
    description: TCP ports that the service will listen on.
    type: list
    elements: dict
    default: []
    suboptions:
      port: {description: The port., type: int, required: true}
      variable: {description: The variable that sets it., type: str, required: true}
      process: {description: 'Names, as in /proc/PID/comm, of the processes that may have it already.', type: list, elements: str, required: true}
  space:
    description: Free disk space that is needed.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: A folder; the nearest parent that exists counts., type: str, required: true}
      mib: {description: Free mebibytes., type: int, required: true}
      variable: {description: The variable that sets the folder or the size., type: str, required: true}
  packages: {description: Debian packages that the role needs., type: list, elements: str, default: []}
author: [Aisha]
"""
EXAMPLES = r"""
- name: Check the host
  preflight:
    require:
      - {that: "{{ redis_app_password is strong_secret }}", problem: redis_app_password is too weak}
    ports: [{port: "{{ redis_port }}", variable: redis_port, process: [redis-server]}]
    space: [{path: /var/lib/redis, mib: 512, variable: redis_min_free_mib}]
"""
RETURN = r"""
missing:
  description: The packages that are not installed, or not wholly.
  type: list
  elements: str
  returned: always
interrupted:
  description: Whether an interrupted installation has left packages half configured, so that apt would refuse to work.
  type: bool
  returned: always
"""

import shutil
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.commands import run

LISTEN = "0A"
INSTALLED = "ii "
DPKG_JOURNAL = Path("/var/lib/dpkg/updates")


def release_problem(supported: list[str], os_release: str) -> str | None:
    """Return what is wrong with the text of /etc/os-release."""
    facts = dict(line.split("=", 1) for line in os_release.splitlines() if "=" in line)
    name = facts.get("VERSION_CODENAME", "").strip('"') or facts.get("PRETTY_NAME", "an unknown system")
    if name in supported:
        return None
    return f"{name} is not supported, these Debian releases are: {', '.join(supported)}"


def listening(tables: list[str]) -> dict[int, set[str]]:
    """Return the inodes of the sockets that listen on each port, from texts like /proc/net/tcp."""
    found: dict[int, set[str]] = {}
    for fields in (line.split() for table in tables for line in table.splitlines()[1:]):
        if fields[3] == LISTEN:
            found.setdefault(int(fields[1].rsplit(":", 1)[1], 16), set()).add(fields[9])
    return found


def owners(inodes: set[str]) -> set[str]:
    """Return the names of the processes that hold the sockets."""
    names, wanted = set(), {f"socket:[{inode}]" for inode in inodes}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if not wanted.isdisjoint(links(process / "fd")):
                names.add((process / "comm").read_text().strip())
        except OSError:
            continue
    return names


def links(folder: Path) -> set[str]:
    """Return where a folder's links lead; a busy process closes some while they are read."""
    found = set()
    for each in folder.iterdir():
        try:
            found.add(str(each.readlink()))
        except OSError:
            continue
    return found


def port_problem(wanted: dict, found: dict[int, set[str]], all_ports: list[dict]) -> str | None:
    """Return who has a port that the service shall have."""
    same = [other["variable"] for other in all_ports if other["port"] == wanted["port"]]
    if len(same) > 1:
        return f"{' and '.join(same)} are both {wanted['port']}: give each a port of its own"
    strangers = owners(found.get(wanted["port"], set())) - set(wanted["process"])
    if not strangers:
        return None
    taken = f"port {wanted['port']} is taken by {', '.join(sorted(strangers))}"
    return f"{wanted['variable']}: {taken}; stop it, or set {wanted['variable']} to another port"


def space_problem(wanted: dict) -> str | None:
    """Return how much disk space is missing."""
    path = Path(wanted["path"])
    while not path.exists():
        path = path.parent
    free = shutil.disk_usage(path).free // 2**20
    if free >= wanted["mib"]:
        return None
    return f"{wanted['path']} has {free} MiB free and needs {wanted['mib']}: free some, or change {wanted['variable']}"


def missing(packages: list[str]) -> list[str]:
    """Return the packages that dpkg does not have installed."""
    query = ("dpkg-query", "--show", "--showformat=${db:Status-Abbrev}${Package}\\n", *packages)
    said = run(*query, check=False) if packages else ""
    installed = {line.removeprefix(INSTALLED) for line in said.splitlines() if line.startswith(INSTALLED)}
    return [package for package in packages if package not in installed]


def is_interrupted() -> bool:
    """Tell whether dpkg has work to finish."""
    return bool(run("dpkg", "--audit", check=False)) or any(DPKG_JOURNAL.iterdir())


def main() -> None:
    """Check, and fail with every problem at once."""
    require = {"that": {"type": "bool", "required": True}, "problem": {"type": "str", "required": True}}
    port = {"port": {"type": "int", "required": True}, "variable": {"type": "str", "required": True}}
    process = {"process": {"type": "list", "elements": "str", "required": True}}
    space = {"path": {"type": "str", "required": True}, "mib": {"type": "int", "required": True}}
    variable = {"variable": {"type": "str", "required": True}}
    module = AnsibleModule(
        supports_check_mode=True,
        argument_spec={
            "require": {"type": "list", "elements": "dict", "default": [], "options": require},
            "releases": {"type": "list", "elements": "str", "default": ["bookworm", "trixie"]},
            "ports": {"type": "list", "elements": "dict", "default": [], "options": port | process},
            "space": {"type": "list", "elements": "dict", "default": [], "options": space | variable},
            "packages": {"type": "list", "elements": "str", "default": []},
        },
    )
    ports = module.params["ports"]
    tables = [path.read_text() for path in map(Path, ("/proc/net/tcp", "/proc/net/tcp6")) if path.exists()]
    found = listening(tables)
    problems = [each["problem"] for each in module.params["require"] if not each["that"]]
    problems += [release_problem(module.params["releases"], Path("/etc/os-release").read_text())]
    problems += [port_problem(each, found, ports) for each in ports]
    problems += [space_problem(each) for each in module.params["space"]]
    if told := [problem for problem in problems if problem]:
        module.fail_json(msg="; ".join(dict.fromkeys(told)))
    packages = module.params["packages"]
    module.exit_json(
        changed=False, missing=missing(packages), interrupted=bool(packages) and is_interrupted()
    )


if __name__ == "__main__":
    main()
