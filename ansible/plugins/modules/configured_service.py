#!/usr/bin/python
"""Have a systemd unit run with the configuration that its files have now."""

from __future__ import annotations

DOCUMENTATION = r"""
module: configured_service
short_description: Have a systemd unit run with the configuration that its files have now
description:
  - Enables and starts a unit, and restarts or reloads it when its files differ from those it was last given.
  - Takes the place of a handler. A handler is forgotten when Ansible is killed between the change and the end of the play,
    and the next run, which finds the files in order, does not restart anything. Here what was applied is recorded on the
    host, after it was applied.
  - A unit that was started by something else since its files changed, as by a renewed certificate, has them already and is left alone.
  - Fails with the end of the unit's journal when the unit does not start or does not stay up.
options:
  name: {description: The unit., type: str, required: true}
  restart_on: {description: 'Files and folders whose change needs a restart; units of systemd among them make it read them anew.', type: list, elements: path, default: []}
  restart_on_values: {description: 'Values, by name, whose change needs a restart: the settings that a reload leaves as they were.', type: dict, default: {}}
  reload_on: {description: Files and folders whose change needs a reload., type: list, elements: path, default: []}
  validate: {description: 'A command that must succeed first; it is run only when something changed.', type: list, elements: str}
  enabled: {description: Whether it starts at boot., type: bool, default: true}
  settle: {description: Seconds for which it must stay up after a start., type: float, default: 1}
author: [Aisha]
"""
EXAMPLES = r"""
- name: Run Redis with its configuration
  configured_service:
    name: redis-server
    restart_on: [/etc/redis/redis.conf]

- name: Run Docker with its configuration, and restart it for the settings alone that need it
  configured_service:
    name: docker
    restart_on_values: {log-driver: json-file}
    reload_on: [/etc/docker/daemon.json]
"""
RETURN = r"""
action:
  description: What was done with the unit, one of none, start, reload, restart.
  type: str
  returned: always
"""

import hashlib
import time
from pathlib import Path

from ansible.module_utils.applied import applied, remember
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.commands import CommandError, run
from ansible.module_utils.digests import of_value

CLOCK_TICK = 0.1
"""Seconds by which a file's time may be late, generously."""

RELOADED_SECONDS = 90
"""A unit says itself when it has reloaded, as sshd does; that may be after `systemctl reload` has ended."""


def digests(paths: list[str]) -> dict[str, str]:
    """Return a digest of each file's bytes, mode and owner; of all files below a folder; nothing for what is missing."""
    found: dict[str, str] = {}
    for path in map(Path, paths):
        files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
        for file in (each for each in files if each.exists()):
            status = file.stat()
            facts = f"{status.st_mode:o} {status.st_uid} {status.st_gid} ".encode()
            found[str(file)] = hashlib.sha256(facts + file.read_bytes()).hexdigest()
    return found


def changed_files(given: dict, present: dict) -> list[str]:
    """Return the names of the files and values that differ, sorted."""
    before, after = (
        {name: d for kind in state.values() for name, d in kind.items()} for state in (given, present)
    )
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def all_older(names: list[str], started: float) -> bool:
    """Tell whether all are files that have not changed since a time (of the clock); a value or a lost file is none."""
    try:
        return all(Path(name).stat().st_ctime < started - CLOCK_TICK for name in names)
    except FileNotFoundError:
        return False


def action_needed(given: dict, present: dict, *, active: bool, has_them: bool) -> str:
    """Return what brings the unit from what it was given to what is present."""
    if not active:
        return "start"
    if has_them:
        return "none"
    if given.get("restart_on", {}) != present["restart_on"]:
        return "restart"
    return "reload" if given.get("reload_on") != present["reload_on"] else "none"


class Unit:
    """One systemd unit of this host."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module, self.name = module, module.params["name"]

    def systemctl(self, *arguments: str) -> str:
        """Run systemctl and return the first word it prints, which says more than its exit status."""
        return run("systemctl", *arguments, check=False)

    def is_active(self) -> bool:
        """Tell whether it runs, once it has reloaded; a unit that a timer or a socket starts need not."""
        until = time.monotonic() + RELOADED_SECONDS
        while (state := self.systemctl("is-active", self.name)) == "reloading" and time.monotonic() < until:
            time.sleep(0.1)
        return state == "active"

    def started(self) -> float:
        """Return when its process was started, by the clock; 0 when it has none, or systemd has not read its files since."""
        wanted = "--property=ExecMainStartTimestampMonotonic,NeedDaemonReload"
        shown = self.systemctl("show", wanted, self.name)
        values = dict(line.split("=", 1) for line in shown.splitlines())
        microseconds = int(values.get("ExecMainStartTimestampMonotonic") or 0)
        if not microseconds or values.get("NeedDaemonReload") != "no":
            return 0
        return time.time() - time.monotonic() + microseconds / 1e6

    def is_enabled(self) -> bool:
        """Tell whether it is started at boot, or need not be."""
        return self.systemctl("is-enabled", self.name) in ("enabled", "static", "indirect")

    def check(self, command: list[str]) -> None:
        """Fail when a command refuses the new configuration."""
        try:
            run(*command)
        except CommandError as error:
            said = f"{self.name} goes on as it was, its new configuration is wrong: {error.said}"
            self.module.fail_json(msg=said, action="none")

    def do(self, action: str) -> None:
        """Start, restart or reload; fail with the journal unless the unit is up afterwards and stays so."""
        self.systemctl("daemon-reload")
        self.systemctl("reset-failed", self.name)
        said = ""
        try:
            run("systemctl", action, self.name)
            time.sleep(self.module.params["settle"] if action != "reload" else 0)
            if self.is_active():
                return
        except CommandError as error:
            said = error.said
        journal = run(
            "journalctl", "--no-pager", "--lines=30", "--output=cat", f"--unit={self.name}", check=False
        )
        self.module.fail_json(msg=f"{self.name} does not {action}: {said}\n{journal}", action=action)


def main() -> None:
    """Compare, and do what is needed."""
    module = AnsibleModule(
        supports_check_mode=True,
        argument_spec={
            "name": {"type": "str", "required": True},
            "restart_on": {"type": "list", "elements": "path", "default": []},
            "restart_on_values": {"type": "dict", "default": {}},
            "reload_on": {"type": "list", "elements": "path", "default": []},
            "validate": {"type": "list", "elements": "str"},
            "enabled": {"type": "bool", "default": True},
            "settle": {"type": "float", "default": 1.0},
        },
    )
    unit = Unit(module)
    present = {kind: digests(module.params[kind]) for kind in ("restart_on", "reload_on")}
    present["restart_on"] |= {
        name: of_value(value) for name, value in module.params["restart_on_values"].items()
    }
    given = applied(unit.name)
    files = changed_files(given, present)
    has_them = bool(files) and all_older(files, unit.started())
    action = action_needed(given, present, active=unit.is_active(), has_them=has_them)
    enable = module.params["enabled"] and not unit.is_enabled()
    changed = action != "none" or enable or (bool(files) and not has_them)
    if (changed or files) and not module.check_mode:
        if action != "none" and (command := module.params["validate"]):
            unit.check(command)
        if enable:
            unit.systemctl("enable", unit.name)
        if action != "none":
            unit.do(action)
        remember(unit.name, present)
    module.exit_json(
        changed=changed,
        action=action,
        diff={"before": "", "after": f"{action} {unit.name}: {', '.join(files)}\n" if changed else ""},
    )


if __name__ == "__main__":
    main()
