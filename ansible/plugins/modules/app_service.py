#!/usr/bin/python
"""Run the instances of an app's service as containers of one release, and change the release without a gap."""

from __future__ import annotations

DOCUMENTATION = r"""
module: app_service
short_description: Run the instances of an app's service as containers of one release, and change the release without a gap
description:
  - A release of a service on a host is a folder, named by a digest of what is in it, with the image's digest, the environment,
    the options and the secrets. Nothing of it changes afterwards, so that an older one runs again as it ran.
  - O(state=prepared) writes that folder and pulls the image. Nothing that runs is touched.
  - O(state=running) brings every instance to a release. It starts the new containers beside the old ones, waits until all are
    ready, and only then stops the old ones. It looks at the containers that there are, so a run that was killed is
    made good by the next.
  - When a new container is not ready in time, or ends, the new ones are removed, the old ones have never stopped, and the module fails
    with the container's last words.
  - O(state=once) runs one container of a release to its end, and fails with its words when it fails.
  - O(state=watched) fails when a container of the release has ended or was restarted since it was ready.
options:
  service: {description: The service., type: str, required: true}
  state: {description: What to do., type: str, choices: [prepared, running, watched, once], required: true}
  release:
    description:
      - The release. With O(state=running) an empty one stops every instance; with O(state=once) it is the one that was run last.
    type: str
    default: ''
  image: {description: 'The image with its digest, for O(state=prepared).', type: str, default: ''}
  command: {description: 'What the container runs; for O(state=once) instead of the release''s own command.', type: list, elements: str, default: []}
  environment: {description: Variables that are no secrets., type: dict, default: {}}
  secrets: {description: 'Secrets by name; each is a file of that name in /run/secrets.', type: dict, default: {}}
  files: {description: 'Files of the host whose content is put beside the secrets, by the name that they have there.', type: dict, default: {}}
  instances: {description: How many run on this host., type: int, default: 1}
  slots: {description: 'Containers that an instance may have at once: the new one beside those that end.', type: int, default: 2}
  ports:
    description: Ports to publish. Each slot of each instance has one of its own, from O(ports[].host) upwards.
    type: list
    elements: dict
    default: []
    suboptions:
      container: {description: The port in the container., type: int, required: true}
      host: {description: The first port of the host., type: int, required: true}
      address: {description: The host's address., type: str, default: 0.0.0.0}
  mounts: {description: 'Folders of the host that the containers read, as folder of the host to folder of the container.', type: dict, default: {}}
  memory_mib: {description: 'Most memory of a container; 0 sets no limit.', type: int, default: 0}
  cpus: {description: 'Most processors that a container uses, as 1.5; 0 sets no limit.', type: float, default: 0}
  pids: {description: Most processes of a container., type: int, default: 256}
  scratch_mib: {description: Size of /tmp in memory., type: int, default: 64}
  user: {description: 'User and group, as numbers.', type: str, default: '10001:10001'}
  ready_port: {description: The container's port that answers when it is ready., type: int, default: 8081}
  ready_path: {description: The path that answers 200 when it is ready., type: str, default: /health/ready}
  live_path: {description: The path that answers while it lives; Docker asks it and shows the answer., type: str, default: /health/live}
  ready_seconds: {description: Seconds a container has to become ready., type: int, default: 60}
  drain_seconds: {description: Seconds an old container has to end., type: int, default: 30}
  wait_for_drain: {description: 'Whether to wait for it; else it ends by itself.', type: bool, default: true}
  keep:
    description:
      - Releases of the service to keep on the host beside those that run; the others are removed, and images that no release has.
      - Without it nothing is removed.
    type: list
    elements: str
  registry: {description: 'User and password for the pull, as O(registry.user) and O(registry.password).', type: dict, default: {}}
author: [Aisha]
"""
EXAMPLES = r"""
- name: Prepare the release
  app_service: {service: bot, state: prepared, image: "registry:5000/aisha@sha256:...", command: [bot], secrets: {AISHA_BOT_TOKEN: "..."}}
  register: prepared

- name: Roll
  app_service: {service: bot, state: running, release: "{{ prepared.release }}"}
"""
RETURN = r"""
release: {description: The release that was prepared or runs., type: str, returned: always}
current: {description: The release that ran before; empty when there was none., type: str, returned: always}
must_roll: {description: Whether an instance runs with something else than the release., type: bool, returned: O(state=prepared)}
changes: {description: What the release changes, in words., type: list, elements: str, returned: O(state=prepared)}
said: {description: What the container printed., type: str, returned: O(state=once)}
done: {description: What was done with each instance., type: list, elements: str, returned: O(state=running)}
seconds: {description: How long that took., type: float, returned: O(state=running)}
seconds_until_ready: {description: How long of it the new containers took from their start until they were ready., type: float, returned: O(state=running)}
"""

import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.containers import (
    ContainerError,
    confinement,
    containers_of,
    docker,
    is_wanted,
    label,
    pull,
)
from ansible.module_utils.locks import locked
from ansible.module_utils.releases import RELEASES, Releases, changes_between, manifest_of, release_of
from ansible.module_utils.roll import failures, forget_others, roll_or_revert


def prepare(module: AnsibleModule, releases: Releases) -> dict[str, Any]:
    """Write the release and pull its image; tell what it would change."""
    read_files(module)
    manifest = manifest_of(module.params)
    release, current = release_of(manifest), releases.current
    running = {
        label(each, "instance") for each in containers_of(releases.service) if is_wanted(each, release)
    }
    wanted = {str(number) for number in range(1, module.params["instances"] + 1)}
    new = not releases.is_whole(release)
    if new and not module.check_mode:
        pull(manifest["image"], module.params["registry"])
        releases.write(manifest, module.params["secrets"])
    changes = changes_between(releases.manifest(current) if current else {}, manifest)
    if not changes and running != wanted:
        changes = [f"instances {', '.join(sorted(wanted - running))} do not run"]
    must_roll = running != wanted or current != release
    return {
        "changed": new,
        "release": release,
        "current": current,
        "changes": changes,
        "must_roll": must_roll,
    }


def read_files(module: AnsibleModule) -> None:
    """Put what the files of the host say beside the secrets."""
    for name, path in module.params["files"].items():
        try:
            module.params["secrets"][name] = Path(path).read_text()
        except FileNotFoundError:
            if not module.check_mode:  # there what brings it may not have done so yet
                raise ContainerError(f"{path} is missing on this host") from None


def roll(module: AnsibleModule, releases: Releases) -> dict[str, Any]:
    """Bring the service to the release, or back to the one before."""
    release, before = module.params["release"], releases.current
    if module.check_mode:  # the release need not be written yet
        return {"changed": release != before, "release": release, "current": before, "done": []}
    if release and not releases.is_whole(release):
        raise ContainerError(f"this host has no release {release}")
    began = time.monotonic()
    try:
        rolled = roll_or_revert(releases, release)
    except ContainerError as error:
        module.fail_json(msg=f"{releases.service} {error}", release=release, current=before)
    releases.remember(release)
    releases.remember_restarts(rolled.restarts)
    forget(module, releases)
    return {
        "changed": bool(rolled.done) or release != before,
        "release": release,
        "current": before,
        "done": rolled.done,
        "seconds": time.monotonic() - began,
        "seconds_until_ready": rolled.seconds_until_ready,
    }


def run_once(module: AnsibleModule, releases: Releases) -> dict[str, Any]:
    """Run one container of the release to its end."""
    release = module.params["release"] or releases.current
    if module.check_mode:
        return {"changed": False, "release": release, "current": releases.current, "said": ""}
    manifest = releases.manifest(release)
    if not manifest:
        raise ContainerError(f"this host has no release {release}")
    command = [
        *confinement(manifest, releases.folder / release),
        manifest["image"],
        *(module.params["command"] or manifest["options"]["command"]),
    ]
    said = docker("run", "--rm", "--log-driver=none", *command)
    releases.remember(release)
    forget(module, releases)
    return {"changed": True, "release": release, "current": release, "said": said}


def forget(module: AnsibleModule, releases: Releases) -> None:
    """Remove old releases when it is said which to keep."""
    if module.params["keep"] is not None:
        forget_others(releases, module.params["keep"])


def watch(module: AnsibleModule, releases: Releases) -> dict[str, Any]:
    """Fail when a container of the release has not stayed up."""
    if wrong := failures(releases, module.params["release"]):
        module.fail_json(msg="; ".join(wrong))
    return {"changed": False, "release": module.params["release"], "current": releases.current}


def specification() -> dict[str, Any]:
    """Return the options, as Ansible takes them."""
    text, number = {"type": "str"}, {"type": "int"}
    port = {
        "container": number | {"required": True},
        "host": number | {"required": True},
        "address": text | {"default": "0.0.0.0"},  # noqa: S104 (the firewall decides who reaches it)
    }
    return {
        "service": text | {"required": True},
        "state": text | {"choices": ["prepared", "running", "watched", "once"], "required": True},
        "release": text | {"default": ""},
        "image": text | {"default": ""},
        "command": {"type": "list", "elements": "str", "default": []},
        "environment": {"type": "dict", "default": {}},
        "secrets": {"type": "dict", "default": {}, "no_log": True},
        "files": {"type": "dict", "default": {}},
        "instances": number | {"default": 1},
        "slots": number | {"default": 2},
        "ports": {"type": "list", "elements": "dict", "default": [], "options": port},
        "mounts": {"type": "dict", "default": {}},
        "memory_mib": number | {"default": 0},
        "cpus": {"type": "float", "default": 0},
        "pids": number | {"default": 256},
        "scratch_mib": number | {"default": 64},
        "user": text | {"default": "10001:10001"},
        "ready_port": number | {"default": 8081},
        "ready_path": text | {"default": "/health/ready"},
        "live_path": text | {"default": "/health/live"},
        "ready_seconds": number | {"default": 60},
        "drain_seconds": number | {"default": 30},
        "wait_for_drain": {"type": "bool", "default": True},
        "keep": {"type": "list", "elements": "str"},
        "registry": {"type": "dict", "default": {}, "no_log": True},
    }


def main() -> None:
    """Do what the state says."""
    module = AnsibleModule(supports_check_mode=True, argument_spec=specification())
    releases = Releases(module.params["service"])
    states = {"prepared": prepare, "running": roll, "watched": watch, "once": run_once}
    try:
        RELEASES.mkdir(parents=True, exist_ok=True)
        with locked(
            RELEASES / f".{releases.service}.lock"
        ):  # a killed run's last module may still be at work
            module.exit_json(**states[module.params["state"]](module, releases))
    except ContainerError as error:
        module.fail_json(msg=f"{releases.service}: {error}")


if __name__ == "__main__":
    main()
