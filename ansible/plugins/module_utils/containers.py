"""The containers of an app's services, by Docker's command line."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.commands import CommandError, run

SECRETS = "/run/secrets"
SLOT_NAMES = "abcdefgh"
POLL_SECONDS = 0.1
LOG_LINES = 10
LINE_LENGTH = 600
"""An exception in a JSON line says what it is at its end."""


class ContainerError(Exception):
    """Docker refuses, or a container is no good; says which and why."""


def docker(*arguments: str, check: bool = True, env: Mapping[str, str] | None = None) -> str:
    """Run a docker command and return what it printed."""
    try:
        return run("docker", *arguments, check=check, env=env)
    except CommandError as error:
        raise ContainerError(f"docker {arguments[0]}: {error.said}") from error


def containers_of(service: str) -> list[dict[str, Any]]:
    """Return a service's containers, as `docker inspect` has them."""
    found = docker("ps", "--all", "--quiet", f"--filter=label=aisha.service={service}").split()
    return list(json.loads(docker("inspect", *found))) if found else []


def label(container: dict[str, Any], name: str) -> str:
    """Return one of our labels of a container."""
    return str(container["Config"]["Labels"].get(f"aisha.{name}", ""))


def name_of(container: dict[str, Any]) -> str:
    """Return a container's name."""
    return str(container["Name"]).lstrip("/")


def is_up(container: dict[str, Any]) -> bool:
    """Tell whether a container runs and is not being restarted over and over."""
    return bool(container["State"]["Running"] and not container["State"]["Restarting"])


def is_wanted(container: dict[str, Any], release: str) -> bool:
    """Tell whether a container is one of the release and serves."""
    return label(container, "release") == release and is_up(container) and not is_ending(container)


def is_ending(container: dict[str, Any]) -> bool:
    """Tell whether a container was told to end: it will not be restarted."""
    return bool(container["HostConfig"]["RestartPolicy"]["Name"] == "no")


def confinement(manifest: dict[str, Any], folder: Path) -> list[str]:
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


def health_command(options: dict[str, Any]) -> str:
    """Return the command by which Docker asks a container whether it lives; the image has Python and no curl."""
    url = f"http://127.0.0.1:{options['ready_port']}{options['live_path']}"
    return f"python3 -c \"import urllib.request; urllib.request.urlopen('{url}', timeout=5)\""


def container_name(service: str, instance: int, slot: int) -> str:
    """Return the name of the container in a slot."""
    return f"aisha-{service}-{instance}-{SLOT_NAMES[slot]}"


def run_arguments(
    manifest: dict[str, Any], release: str, folder: Path, instance: int, slot: int
) -> list[str]:
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


def published(port: dict[str, Any], slots: int, instance: int, slot: int) -> str:
    """Return ADDRESS:HOST PORT:CONTAINER PORT for one slot of one instance (counted from 1)."""
    return f"{port['address']}:{port['host'] + (instance - 1) * slots + slot}:{port['container']}/tcp"


def restarts_of(name: str) -> int:
    """Return how often Docker has restarted a container."""
    return int(docker("inspect", "--format={{.RestartCount}}", name))


def wait_until_ready(name: str, options: dict[str, Any], restarts: int) -> None:
    """Wait until a container, which had been restarted so many times before, says that it is ready.

    Raises:
        ContainerError: it ended, or was not ready in time.
    """
    until = time.monotonic() + options["ready_seconds"]
    said = "no answer"
    while time.monotonic() < until:
        (container,) = json.loads(docker("inspect", name))
        if not is_up(container) or container["RestartCount"] > restarts:
            raise ContainerError(f"{name} {end_of(container)} at its start\n{words_of(name)}")
        address = next((each["IPAddress"] for each in container["NetworkSettings"]["Networks"].values()), "")
        said = ask(address, options["ready_port"], options["ready_path"])
        if said == "ready":
            return
        time.sleep(POLL_SECONDS)
    raise ContainerError(f"{name} is not ready after {options['ready_seconds']} s: {said}\n{words_of(name)}")


def end_of(container: dict[str, Any]) -> str:
    """Return in words how a container ended; one that Docker has restarted meanwhile does not know its status."""
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
    return "ready" if answer.status == http.HTTPStatus.OK else f"{answer.status} {body}"


def words_of(name: str) -> str:
    """Return the last lines that a container has logged."""
    command = ("docker", "logs", f"--tail={LOG_LINES}", name)  # standard error is as good as standard output
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    lines = done.stdout.decode(errors="replace").strip().splitlines()
    return "\n".join(line if len(line) <= LINE_LENGTH else f"...{line[-LINE_LENGTH:]}" for line in lines)


def pull(image: str, registry: dict[str, str]) -> None:
    """Pull an image unless it is here; the login is in a folder of its own, and gone afterwards."""
    if docker("image", "inspect", "--format={{.Id}}", image, check=False):
        return
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"DOCKER_CONFIG": folder}
        if registry:
            address, user = image.partition("/")[0], registry["user"]
            login = ("docker", "login", "--username", user, "--password-stdin", address)
            try:
                run(*login, stdin=registry["password"], env=environment)
            except CommandError as error:
                raise ContainerError(f"{address} does not let {user} in: {error.said}") from error
        docker("pull", "--quiet", image, env=environment)
