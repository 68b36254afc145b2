#!/usr/bin/python
"""The fleet's releases: which there were, which one runs, who is releasing now, and what was done."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_ledger
short_description: The fleet's releases, the lock on releasing, and the audit log
description:
  - All of it is in /var/lib/aisha/fleet of one host.
  - The lock has a holder and a time at which it ends by itself, so that a run that was killed does not keep it. Who finds it held
    waits until it is free, or ends.
  - Each release is a manifest in a file of its own; the newest that succeeded is the current one.
options:
  action: {description: What to do., type: str, choices: [lock, renew, unlock, record, read, audit], required: true}
  holder: {description: 'Who it is, for the lock.', type: str, default: ''}
  seconds: {description: How long the lock lasts unless it is renewed., type: int, default: 120}
  wait: {description: Seconds to wait for a lock that another holds., type: int, default: 150}
  manifest: {description: 'The release, for O(action=record), with its id.', type: dict, default: {}}
  entry: {description: 'What was done, for O(action=audit) and O(action=record).', type: dict, default: {}}
  keep: {description: 'Releases to keep, not counting returns to an older one.', type: int, default: 5}
author: [Aisha]
"""
EXAMPLES = r"""
- name: Take the lock
  release_ledger: {action: lock, holder: "me on my laptop"}
"""
RETURN = r"""
current: {description: The manifest of the release that runs., type: dict, returned: O(action=read)}
releases: {description: 'All manifests, the newest first.', type: list, elements: dict, returned: O(action=read) and O(action=lock)}
lock: {description: Holder and end of the lock; empty when it is free., type: dict, returned: always}
taken_over: {description: Who held the lock when it ended by itself., type: str, returned: O(action=lock)}
"""

import json
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.files import read_json, write_json
from ansible.module_utils.locks import locked

FOLDER = Path("/var/lib/aisha/fleet")
AUDIT = Path("/var/log/aisha/audit.jsonl")
POLL_SECONDS = 1.0


def alone() -> AbstractContextManager[None]:
    """Be the only one who reads and writes the ledger on this host."""
    FOLDER.mkdir(parents=True, exist_ok=True, mode=0o750)
    return locked(FOLDER / ".lock")


def lock_now() -> dict[str, Any]:
    """Return the lock as the file has it; one that has ended by itself still names who held it."""
    return read_json(FOLDER / "lock.json")


def take(holder: str, seconds: int, wait: int) -> str:
    """Take the lock, and return who held it when it ended by itself; empty when it was free.

    Raises:
        TimeoutError: another holds it still; says who and until when.
    """
    until = time.monotonic() + wait
    while True:
        with alone():
            held = lock_now()
            if not held or held["holder"] == holder or held["ends"] <= time.time():
                write_json(FOLDER / "lock.json", {"holder": holder, "ends": time.time() + seconds})
                return held.get("holder", "") if held and held["holder"] != holder else ""
        if time.monotonic() >= until:
            left = held["ends"] - time.time()
            raise TimeoutError(
                f"{held['holder']} is releasing, for {left:.0f} s more unless that goes on; wait for it"
            )
        time.sleep(POLL_SECONDS)


def renew(holder: str, seconds: int) -> None:
    """Make the lock last longer.

    Raises:
        TimeoutError: it has ended, and another has taken it.
    """
    with alone():
        held = lock_now()
        if held.get("holder") != holder:
            raise TimeoutError(
                f"the lock has ended and {held.get('holder') or 'nobody'} holds it: this run goes no further"
            )
        write_json(FOLDER / "lock.json", {"holder": holder, "ends": time.time() + seconds})


def unlock(holder: str) -> None:
    """Give the lock back, unless another has it."""
    with alone():
        if lock_now().get("holder") == holder:
            (FOLDER / "lock.json").unlink()


def manifests() -> list[dict[str, Any]]:
    """Return the releases, the newest first."""
    return [read_json(path) for path in sorted(FOLDER.glob("release-*.json"), reverse=True)]


def record(manifest: dict, keep: int) -> None:
    """Make a release the current one, and forget those beyond the newest; a return to an older one does not count."""
    write_json(FOLDER / f"release-{manifest['id']}.json", manifest)
    write_json(FOLDER / "current.json", {"id": manifest["id"]})
    deployed = [each["id"] for each in manifests() if not each.get("back_to")]
    for each in manifests():
        if len(deployed) > keep and each["id"] < deployed[keep - 1]:
            (FOLDER / f"release-{each['id']}.json").unlink()


def audit(entry: dict) -> None:
    """Append a line to the audit log."""
    AUDIT.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    line = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())} | entry
    with AUDIT.open("a") as file:
        file.write(json.dumps(line) + "\n")


def do(parameters: dict) -> dict[str, Any]:
    """Do what the action says, and return what it has to tell."""
    action, holder = parameters["action"], parameters["holder"]
    if action == "lock":
        taken_over = take(holder, parameters["seconds"], parameters["wait"])
        return {"taken_over": taken_over, "releases": manifests()}
    if action == "renew":
        renew(holder, parameters["seconds"])
    elif action == "unlock":
        unlock(holder)
    elif action == "record":
        with alone():
            record(parameters["manifest"], parameters["keep"])
            audit(parameters["entry"])
    elif action == "audit":
        with alone():
            audit(parameters["entry"])
    else:
        releases = manifests()
        current = read_json(FOLDER / "current.json").get("id")
        return {"releases": releases, "current": next((r for r in releases if r["id"] == current), {})}
    return {}


def main() -> None:
    """Do it, unless it is only to be checked."""
    text, number = {"type": "str", "default": ""}, {"type": "int"}
    module = AnsibleModule(
        supports_check_mode=True,
        argument_spec={
            "action": {
                "type": "str",
                "choices": ["lock", "renew", "unlock", "record", "read", "audit"],
                "required": True,
            },
            "holder": text,
            "seconds": number | {"default": 120},
            "wait": number | {"default": 150},
            "manifest": {"type": "dict", "default": {}},
            "entry": {"type": "dict", "default": {}},
            "keep": number | {"default": 5},
        },
    )
    reads = module.params["action"] == "read"
    try:
        told = do(module.params) if reads or not module.check_mode else {}
    except TimeoutError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=not reads, lock=lock_now(), **told)


if __name__ == "__main__":
    main()
