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

import contextlib
import fcntl
import hashlib
import http.client
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

RELEASES = Path("/var/lib/aisha/releases")
MANIFEST = "manifest.json"
RESTARTS = "restarts.json"
"""How often Docker had started each container anew when it was ready."""

SECRETS = "/run/secrets"
OPTIONS = (
    "command",
    "instances",
    "slots",
    "ports",
    "mounts",
    "memory_mib",
    "cpus",
    "pids",
    "scratch_mib",
    "user",
    "ready_port",
    "ready_path",
    "live_path",
    "ready_seconds",
    "drain_seconds",
    "wait_for_drain",
)
SLOT_NAMES = "abcdefgh"
POLL_SECONDS = 0.1
LOG_LINES = 10
LINE_LENGTH = 600
"""An exception in a JSON line says what it is at its end."""


class RollError(Exception):
    """A container of the new release is no good; says which and why."""


def docker(*arguments: str, check: bool = True, env: dict | None = None) -> str:
    """Run a docker command and return what it printed."""
    done = subprocess.run(("docker", *arguments), capture_output=True, text=True, check=False, env=env)
    if check and done.returncode:
        raise RollError(f"docker {arguments[0]}: {(done.stderr or done.stdout).strip()}")
    return done.stdout.strip()


def digest(text: str) -> str:
    """Return the digest of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def manifest_of(parameters: dict) -> dict[str, Any]:
    """Return what a release is made of; of its secrets the digests."""
    return {
        "service": parameters["service"],
        "image": parameters["image"],
        "environment": {name: str(value) for name, value in parameters["environment"].items()},
        "secrets": {name: digest(str(value)) for name, value in parameters["secrets"].items()},
        "options": {name: parameters[name] for name in OPTIONS},
    }


def release_of(manifest: dict) -> str:
    """Return the release's name: the same for the same manifest."""
    return digest(json.dumps(manifest, sort_keys=True))[:12]


def changes_between(old: dict | None, new: dict) -> list[str]:
    """Return in words what changes from one manifest to another; values of secrets are in neither."""
    if old is None:
        return [f"first release, {new['image']}"]
    words = [f"image {old['image']} -> {new['image']}"] if old["image"] != new["image"] else []
    for kind in ("environment", "options"):
        for name in sorted(old[kind].keys() | new[kind].keys()):
            before, after = old[kind].get(name), new[kind].get(name)
            if before != after:
                words.append(f"{name}: {before} -> {after}")
    changed = {
        n
        for n in old["secrets"].keys() | new["secrets"].keys()
        if old["secrets"].get(n) != new["secrets"].get(n)
    }
    return words + [f"secret {name}" for name in sorted(changed)]


class Host:
    """The releases and containers of one service on this host."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.folder = RELEASES / service

    def manifest(self, release: str) -> dict | None:
        """Return a release's manifest; nothing when it is not here."""
        try:
            return json.loads((self.folder / release / MANIFEST).read_text())
        except FileNotFoundError:
            return None

    @property
    def current(self) -> str:
        """The release that was brought up last."""
        link = self.folder / "current"
        return link.readlink().name if link.is_symlink() else ""

    def remember(self, release: str) -> None:
        """Make a release the current one."""
        link = self.folder / "current"
        partial = self.folder / ".current"
        partial.unlink(missing_ok=True)
        if not release:
            link.unlink(missing_ok=True)
            return
        partial.symlink_to(release)
        partial.replace(link)

    def remember_restarts(self, restarts: dict[str, int]) -> None:
        """Keep how often each container, by its name, had been started anew when it was ready."""
        self.folder.mkdir(parents=True, exist_ok=True)  # where nothing was ever prepared, and all is to end
        (self.folder / RESTARTS).write_text(json.dumps(restarts))

    def restarts(self) -> dict[str, int]:
        """Return what was kept of that."""
        try:
            return json.loads((self.folder / RESTARTS).read_text())
        except FileNotFoundError:
            return {}

    def write(self, manifest: dict, secrets: dict) -> None:
        """Write a release's folder, whole or not at all."""
        release = release_of(manifest)
        self.folder.mkdir(parents=True, exist_ok=True)
        os.chmod(RELEASES, 0o700)
        partial = Path(tempfile.mkdtemp(dir=self.folder, prefix=".new-"))
        user, _, group = manifest["options"]["user"].partition(":")
        (partial / "secrets").mkdir()
        for name, value in secrets.items():
            file = partial / "secrets" / name
            file.write_text(str(value))
            file.chmod(0o400)
            os.chown(file, int(user), int(group))
        os.chown(partial / "secrets", int(user), int(group))
        (partial / "secrets").chmod(0o500)
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True))
        (partial / MANIFEST).chmod(0o600)
        shutil.rmtree(self.folder / release, ignore_errors=True)
        partial.rename(self.folder / release)

    def is_whole(self, release: str) -> bool:
        """Tell whether a release's folder has what its manifest says."""
        manifest = self.manifest(release)
        if manifest is None:
            return False
        secrets = self.folder / release / "secrets"
        try:
            return all(digest((secrets / n).read_text()) == d for n, d in manifest["secrets"].items())
        except OSError:
            return False

    def containers(self) -> list[dict]:
        """Return the service's containers, as `docker inspect` has them."""
        found = docker("ps", "--all", "--quiet", f"--filter=label=aisha.service={self.service}").split()
        return json.loads(docker("inspect", *found)) if found else []

    def forget_others(self, keep: list[str] | None) -> list[str]:
        """Remove the releases that nobody wants to keep and that do not run, and images that no release here has."""
        if keep is None:
            return []
        used = {label(each, "release") for each in self.containers()} | {self.current, *keep}
        folders = [each for each in self.folder.iterdir() if each.is_dir() and not each.is_symlink()]
        gone = [each for each in folders if each.name not in used and not each.name.startswith(".")]
        repositories = {self.manifest(each.name)["image"] for each in gone if self.manifest(each.name)}
        for each in gone:
            shutil.rmtree(each)
        kept = {json.loads(path.read_text())["image"] for path in RELEASES.glob(f"*/*/{MANIFEST}")}
        for image in repositories - kept:
            docker("image", "rm", image, check=False)
        return [each.name for each in gone]


def label(container: dict, name: str) -> str:
    """Return one of our labels of a container."""
    return container["Config"]["Labels"].get(f"aisha.{name}", "")


def is_up(container: dict) -> bool:
    """Tell whether a container runs and is not being restarted over and over."""
    return container["State"]["Running"] and not container["State"]["Restarting"]


def is_wanted(container: dict, release: str) -> bool:
    """Tell whether a container is one of the release and serves."""
    return label(container, "release") == release and is_up(container) and not is_ending(container)


def is_ending(container: dict) -> bool:
    """Tell whether a container was told to end: it will not be started again."""
    return container["HostConfig"]["RestartPolicy"]["Name"] == "no"


def confinement(manifest: dict, folder: Path) -> list[str]:
    """Return the arguments of `docker run` that say what a container may do and see."""
    options = manifest["options"]
    memory = f"{options['memory_mib']}m"
    return [
        f"--user={options['user']}",
        "--read-only",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        f"--pids-limit={options['pids']}",
        *([f"--memory={memory}", f"--memory-swap={memory}"] if options["memory_mib"] else []),
        *([f"--cpus={options['cpus']}"] if options.get("cpus") else []),  # releases of before know none
        f"--tmpfs=/tmp:rw,noexec,nosuid,nodev,size={options['scratch_mib']}m,mode=1777",
        f"--mount=type=bind,source={folder / 'secrets'},target={SECRETS},readonly",
        *(
            f"--mount=type=bind,source={there},target={here},readonly"
            for there, here in options["mounts"].items()
        ),
        *(f"--env={key}={value}" for key, value in sorted(manifest["environment"].items())),
    ]


def health_command(options: dict) -> str:
    """Return the command by which Docker asks a container whether it lives; the image has Python and no curl."""
    url = f"http://127.0.0.1:{options['ready_port']}{options['live_path']}"
    return f"python3 -c \"import urllib.request; urllib.request.urlopen('{url}', timeout=5)\""


def container_name(service: str, instance: int, slot: int) -> str:
    """Return the name of the container in a slot."""
    return f"aisha-{service}-{instance}-{SLOT_NAMES[slot]}"


def run_arguments(manifest: dict, release: str, folder: Path, instance: int, slot: int) -> list[str]:
    """Return the arguments of `docker run` for one container of a release, whose files are in the folder."""
    options = manifest["options"]
    name = container_name(manifest["service"], instance, slot)
    labels = {"service": manifest["service"], "instance": instance, "slot": slot, "release": release}
    return [
        "--detach",
        f"--name={name}",
        f"--hostname={name}",
        *(f"--label=aisha.{key}={value}" for key, value in labels.items()),
        "--restart=unless-stopped",
        f"--stop-timeout={options['drain_seconds']}",
        "--log-driver=journald",
        f"--log-opt=tag={name}",
        f"--health-cmd={health_command(options)}",
        "--health-interval=30s",
        "--health-timeout=10s",
        *(f"--publish={published(port, options['slots'], instance, slot)}" for port in options["ports"]),
        *confinement(manifest, folder),
        manifest["image"],
        *options["command"],
    ]


def published(port: dict, slots: int, instance: int, slot: int) -> str:
    """Return ADDRESS:HOST PORT:CONTAINER PORT for one slot of one instance (counted from 1)."""
    return f"{port['address']}:{port['host'] + (instance - 1) * slots + slot}:{port['container']}/tcp"


class Roll:
    """Brings the service's instances to a release.

    1. Containers that have ended, and those of an unfinished earlier run that nobody waits for, are removed.
    2. For each instance without a container of the release, one is started in a free slot, beside the old one.
    3. Each must become ready in time, and stay up; else those that were started are removed, and nothing has changed.
    4. The instances' other containers are told to end: awaited, or left to finish their work.
    5. Instances above the number that is wanted end.
    """

    def __init__(self, host: Host, release: str) -> None:
        self.host, self.release = host, release
        self.manifest = host.manifest(release) if release else None
        self.options = self.manifest["options"] if self.manifest else None
        self.done: list[str] = []
        self.restarts: dict[str, int] = {}
        self.seconds_until_ready = 0.0

    def __call__(self) -> None:
        """Do it.

        Raises:
            RollError: a container did not become ready; the old ones still serve.
        """
        self._remove_ended()
        started: list[str] = []
        wanted: set[str] = set()
        try:
            for instance in range(1, self._count() + 1):
                wanted.add(self._running(instance) or self._start(instance, started))
            self.restarts = {name: 0 if name in started else restarts_of(name) for name in wanted}
            began = time.monotonic()
            for name, restarts in sorted(self.restarts.items()):
                wait_until_ready(name, self.options, restarts)
            self.seconds_until_ready = time.monotonic() - began
        except RollError:
            for name in started:
                docker("rm", "--force", name, check=False)
            raise
        self.done += [f"{name} runs {self.release}" for name in started]
        self._retire([each for each in self._of_instances() if each["Name"].lstrip("/") not in wanted])
        surplus = [each for each in self.host.containers() if self._is_surplus(each)]
        self._retire(surplus)
        self.done += [f"{each['Name'].lstrip('/')} has ended" for each in surplus]

    def _count(self) -> int:
        return self.options["instances"] if self.options else 0

    def _mine(self, instance: int) -> list[dict]:
        return [each for each in self.host.containers() if label(each, "instance") == str(instance)]

    def _of_instances(self) -> list[dict]:
        return [each for each in self.host.containers() if int(label(each, "instance")) <= self._count()]

    def _is_surplus(self, container: dict) -> bool:
        return int(label(container, "instance")) > self._count() and not is_ending(container)

    def _running(self, instance: int) -> str:
        """Return the name of the container that runs the release already, if there is one."""
        good = [each for each in self._mine(instance) if is_wanted(each, self.release)]
        return good[0]["Name"].lstrip("/") if good else ""

    def _remove_ended(self) -> None:
        for each in self.host.containers():
            if not each["State"]["Running"] and (is_ending(each) or label(each, "release") != self.release):
                docker("rm", "--force", each["Id"])

    def _start(self, instance: int, started: list[str]) -> str:
        """Start a container in a free slot; one that neither serves nor ends makes room, then the oldest that ends."""
        mine = self._mine(instance)
        serving = [each for each in mine if is_up(each) and label(each, "release") == self.host.current]
        for each in sorted(mine, key=lambda each: (is_ending(each), each["Created"])):
            if each not in serving and (not is_ending(each) or len(mine) >= self.options["slots"]):
                docker("rm", "--force", each["Id"])
                mine.remove(each)
        taken = {int(label(each, "slot")) for each in mine}
        slot = next(slot for slot in range(self.options["slots"]) if slot not in taken)
        name = container_name(self.host.service, instance, slot)
        docker("rm", "--force", name, check=False)  # created, and never started, by a run that was killed
        folder = self.host.folder / self.release
        started.append(name)
        docker("run", *run_arguments(self.manifest, self.release, folder, instance, slot))
        return name

    def _retire(self, containers: list[dict]) -> None:
        """Tell containers to end, for good; all of them first, then wait for those that are to be awaited."""
        for each in containers:
            if each["State"]["Running"] and not is_ending(each):
                docker("update", "--restart=no", each["Id"])
                docker("kill", "--signal=TERM", each["Id"], check=False)
        for each in containers:
            old = self.host.manifest(label(each, "release"))
            options = old["options"] if old else self.options
            if not each["State"]["Running"]:
                docker("rm", "--force", each["Id"])
            elif options is None or options["wait_for_drain"]:
                seconds = options["drain_seconds"] if options else 30
                docker("stop", f"--time={seconds}", each["Id"], check=False)
                docker("rm", "--force", each["Id"])


def restarts_of(name: str) -> int:
    """Return how often Docker has started a container anew."""
    return int(docker("inspect", "--format={{.RestartCount}}", name))


def wait_until_ready(name: str, options: dict, restarts: int) -> None:
    """Wait until a container, which was started anew so many times before, says that it is ready.

    Raises:
        RollError: it ended, or was not ready in time.
    """
    until = time.monotonic() + options["ready_seconds"]
    said = "no answer"
    while time.monotonic() < until:
        (container,) = json.loads(docker("inspect", name))
        if not is_up(container) or container["RestartCount"] > restarts:
            raise RollError(f"{name} {end_of(container)} at its start\n{words_of(name)}")
        address = next((each["IPAddress"] for each in container["NetworkSettings"]["Networks"].values()), "")
        said = ask(address, options["ready_port"], options["ready_path"])
        if said == "ready":
            return
        time.sleep(POLL_SECONDS)
    raise RollError(f"{name} is not ready after {options['ready_seconds']} s: {said}\n{words_of(name)}")


def end_of(container: dict) -> str:
    """Return in words how a container ended; one that Docker has started anew meanwhile does not know its status any more."""
    return (
        "ended and was started anew" if is_up(container) else f"ended with {container['State']['ExitCode']}"
    )


def ask(address: str, port: int, path: str) -> str:
    """Return `ready`, or what a container says instead."""
    connection = http.client.HTTPConnection(address, port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read(500).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return str(error)
    finally:
        connection.close()
    return "ready" if answer.status == 200 else f"{answer.status} {body}"


def words_of(name: str) -> str:
    """Return the last lines that a container has logged."""
    done = subprocess.run(
        ("docker", "logs", f"--tail={LOG_LINES}", name), capture_output=True, text=True, check=False
    )
    lines = (done.stdout + done.stderr).strip().splitlines()
    return "\n".join(line if len(line) <= LINE_LENGTH else f"...{line[-LINE_LENGTH:]}" for line in lines)


def watched(host: Host, release: str) -> list[str]:
    """Return what is wrong with the containers of a release that were ready once."""
    manifest, restarts = host.manifest(release), host.restarts()
    serving = [
        each for each in host.containers() if label(each, "release") == release and not is_ending(each)
    ]
    wrong = [
        f"{each['Name'].lstrip('/')} {end_of(each)} after it was ready\n{words_of(each['Id'])}"
        for each in serving
        if not is_up(each) or each["RestartCount"] > restarts.get(each["Name"].lstrip("/"), 0)
    ]
    missing = manifest["options"]["instances"] - len(serving)
    return wrong + ([f"{missing} instances of {host.service} are missing"] if missing > 0 else [])


@contextlib.contextmanager
def alone(service: str) -> Iterator[None]:
    """Hold the service's lock on this host: a killed run's last module may still be at work."""
    RELEASES.mkdir(parents=True, exist_ok=True)
    with (RELEASES / f".{service}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def pull(image: str, registry: dict) -> None:
    """Pull an image unless it is here; the login is in a folder of its own, and gone afterwards."""
    if docker("image", "inspect", "--format={{.Id}}", image, check=False):
        return
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"DOCKER_CONFIG": folder}
        if registry:
            address = image.partition("/")[0]
            done = subprocess.run(
                ("docker", "login", "--username", registry["user"], "--password-stdin", address),
                input=registry["password"],
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise RollError(f"{address} does not let {registry['user']} in: {done.stderr.strip()}")
        docker("pull", "--quiet", image, env=environment)


def prepare(module: AnsibleModule, host: Host) -> dict[str, Any]:
    """Write the release and pull its image; tell what it would change."""
    for name, path in module.params["files"].items():
        try:
            module.params["secrets"][name] = Path(path).read_text()
        except FileNotFoundError:
            if not module.check_mode:  # there what brings it may not have done so yet
                module.fail_json(msg=f"{host.service}: {path} is missing on this host")
    manifest = manifest_of(module.params)
    release, current = release_of(manifest), host.current
    running = {label(each, "instance") for each in host.containers() if is_wanted(each, release)}
    wanted = {str(number) for number in range(1, module.params["instances"] + 1)}
    new = not host.is_whole(release)
    if new and not module.check_mode:
        pull(manifest["image"], module.params["registry"])
        host.write(manifest, module.params["secrets"])
    changes = changes_between(host.manifest(current) if current else None, manifest)
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


def roll(module: AnsibleModule, host: Host) -> dict[str, Any]:
    """Bring the service to the release, or back to the one before."""
    release, before = module.params["release"], host.current
    if module.check_mode:  # the release need not be written yet
        return {"changed": release != before, "release": release, "current": before, "done": []}
    if release and not host.is_whole(release):
        module.fail_json(msg=f"{host.service}: this host has no release {release}")
    rolling, began = Roll(host, release), time.monotonic()
    try:
        rolling()
    except RollError as error:
        back = "nothing ran before"
        if before and before != release:
            try:
                Roll(host, before)()
                back = f"{before} runs again"
            except RollError as second:
                back = f"{before} did not come back either: {second}"
        module.fail_json(
            msg=f"{host.service} stays as it was ({back}): {error}", release=release, current=before
        )
    host.remember(release)
    host.remember_restarts(rolling.restarts)
    host.forget_others(module.params["keep"])
    return {
        "changed": bool(rolling.done) or release != before,
        "release": release,
        "current": before,
        "done": rolling.done,
        "seconds": time.monotonic() - began,
        "seconds_until_ready": rolling.seconds_until_ready,
    }


def run_once(module: AnsibleModule, host: Host) -> dict[str, Any]:
    """Run one container of the release to its end."""
    release = module.params["release"] or host.current
    if module.check_mode:
        return {"changed": False, "release": release, "current": host.current, "said": ""}
    manifest = host.manifest(release)
    if manifest is None:
        module.fail_json(msg=f"{host.service}: this host has no release {release}")
    command = [
        *confinement(manifest, host.folder / release),
        manifest["image"],
        *(module.params["command"] or manifest["options"]["command"]),
    ]
    said = docker("run", "--rm", "--log-driver=none", *command)
    host.remember(release)
    host.forget_others(module.params["keep"])
    return {"changed": True, "release": release, "current": release, "said": said}


def watch(module: AnsibleModule, host: Host) -> dict[str, Any]:
    """Fail when a container of the release has not stayed up."""
    if wrong := watched(host, module.params["release"]):
        module.fail_json(msg="; ".join(wrong))
    return {"changed": False, "release": module.params["release"], "current": host.current}


def main() -> None:
    """Do what the state says."""
    text, number = {"type": "str"}, {"type": "int"}
    port = {
        "container": number | {"required": True},
        "host": number | {"required": True},
        "address": text | {"default": "0.0.0.0"},
    }
    module = AnsibleModule(
        supports_check_mode=True,
        argument_spec={
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
        },
    )
    host = Host(module.params["service"])
    states = {"prepared": prepare, "running": roll, "watched": watch, "once": run_once}
    try:
        with alone(host.service):
            module.exit_json(**states[module.params["state"]](module, host))
    except RollError as error:
        module.fail_json(msg=f"{host.service}: {error}")


if __name__ == "__main__":
    main()
