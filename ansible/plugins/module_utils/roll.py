"""A service is brought from one release to another without a gap."""

from __future__ import annotations

import time
from typing import Any

from ansible.module_utils.containers import (
    ContainerError,
    container_name,
    containers_of,
    docker,
    end_of,
    is_ending,
    is_up,
    is_wanted,
    label,
    name_of,
    restarts_of,
    run_arguments,
    wait_until_ready,
    words_of,
)
from ansible.module_utils.releases import Releases


class Roll:
    """Brings the service's instances to a release.

    1. Containers that have ended, and those of an unfinished earlier run that nobody waits for, are removed.
    2. For each instance without a container of the release, one is started in a free slot, beside the old one.
    3. Each must become ready in time, and stay up; else those that were started are removed, and nothing has changed.
    4. The instances' other containers are told to end: awaited, or left to finish their work.
    5. Instances above the number that is wanted end.
    """

    def __init__(self, releases: Releases, release: str) -> None:
        self.releases, self.release = releases, release
        self.manifest = releases.manifest(release) if release else {}
        self.options: dict[str, Any] = self.manifest.get("options", {"instances": 0})
        self.done: list[str] = []
        self.restarts: dict[str, int] = {}
        self.seconds_until_ready = 0.0

    def __call__(self) -> None:
        """Do it.

        Raises:
            ContainerError: a container did not become ready; the old ones still serve.
        """
        self._remove_ended()
        started: list[str] = []
        wanted: set[str] = set()
        try:
            for instance in range(1, self.options["instances"] + 1):
                wanted.add(self._running(instance) or self._start(instance, started))
            self.restarts = {name: 0 if name in started else restarts_of(name) for name in wanted}
            began = time.monotonic()
            for name, restarts in sorted(self.restarts.items()):
                wait_until_ready(name, self.options, restarts)
            self.seconds_until_ready = time.monotonic() - began
        except ContainerError:
            for name in started:
                docker("rm", "--force", name, check=False)
            raise
        self.done += [f"{name} runs {self.release}" for name in started]
        self._retire([each for each in self._of_instances() if name_of(each) not in wanted])
        surplus = [each for each in self._containers() if self._is_surplus(each)]
        self._retire(surplus)
        self.done += [f"{name_of(each)} has ended" for each in surplus]

    def _containers(self) -> list[dict[str, Any]]:
        return containers_of(self.releases.service)

    def _mine(self, instance: int) -> list[dict[str, Any]]:
        return [each for each in self._containers() if label(each, "instance") == str(instance)]

    def _of_instances(self) -> list[dict[str, Any]]:
        return [
            each for each in self._containers() if int(label(each, "instance")) <= self.options["instances"]
        ]

    def _is_surplus(self, container: dict[str, Any]) -> bool:
        return int(label(container, "instance")) > self.options["instances"] and not is_ending(container)

    def _running(self, instance: int) -> str:
        """Return the name of the container that runs the release already, if there is one."""
        good = [each for each in self._mine(instance) if is_wanted(each, self.release)]
        return name_of(good[0]) if good else ""

    def _remove_ended(self) -> None:
        for each in self._containers():
            if not each["State"]["Running"] and (is_ending(each) or label(each, "release") != self.release):
                docker("rm", "--force", each["Id"])

    def _start(self, instance: int, started: list[str]) -> str:
        """Start a container in a free slot; one that neither serves nor ends makes room, then the oldest that ends."""
        mine = self._mine(instance)
        serving = [each for each in mine if is_up(each) and label(each, "release") == self.releases.current]
        for each in sorted(mine, key=lambda each: (is_ending(each), each["Created"])):
            if each not in serving and (not is_ending(each) or len(mine) >= self.options["slots"]):
                docker("rm", "--force", each["Id"])
                mine.remove(each)
        taken = {int(label(each, "slot")) for each in mine}
        slot = next(slot for slot in range(self.options["slots"]) if slot not in taken)
        name = container_name(self.releases.service, instance, slot)
        docker("rm", "--force", name, check=False)  # created, and never started, by a run that was killed
        folder = self.releases.folder / self.release
        started.append(name)
        docker("run", *run_arguments(self.manifest, self.release, folder, instance, slot))
        return name

    def _retire(self, containers: list[dict[str, Any]]) -> None:
        """Tell containers to end, for good; all of them first, then wait for those that are to be awaited."""
        for each in containers:
            if each["State"]["Running"] and not is_ending(each):
                docker("update", "--restart=no", each["Id"])
                docker("kill", "--signal=TERM", each["Id"], check=False)
        for each in containers:
            options = self.releases.manifest(label(each, "release")).get("options", self.options)
            if not each["State"]["Running"]:
                docker("rm", "--force", each["Id"])
            elif options.get("wait_for_drain", True):
                docker("stop", f"--time={options.get('drain_seconds', 30)}", each["Id"], check=False)
                docker("rm", "--force", each["Id"])


def roll_or_revert(releases: Releases, release: str) -> Roll:
    """Bring a service to a release; when that fails, to the one that ran before.

    Raises:
        ContainerError: the service stays as it was; says so, or that it could not be brought back.
    """
    rolling, before = Roll(releases, release), releases.current
    try:
        rolling()
    except ContainerError as error:
        raise ContainerError(f"stays as it was ({reverted(releases, release, before)}): {error}") from error
    return rolling


def reverted(releases: Releases, release: str, before: str) -> str:
    """Have the release of before run again, and tell in words whether it does."""
    if not before or before == release:
        return "nothing ran before"
    try:
        Roll(releases, before)()
    except ContainerError as error:
        return f"{before} did not come back either: {error}"
    return f"{before} runs again"


def failures(releases: Releases, release: str) -> list[str]:
    """Return what is wrong with the containers of a release that were ready once."""
    restarts = releases.restarts()
    serving = [
        each
        for each in containers_of(releases.service)
        if label(each, "release") == release and not is_ending(each)
    ]
    wrong = [
        f"{name_of(each)} {end_of(each)} after it was ready\n{words_of(each['Id'])}"
        for each in serving
        if not is_up(each) or each["RestartCount"] > restarts.get(name_of(each), 0)
    ]
    missing = releases.manifest(release)["options"]["instances"] - len(serving)
    return wrong + ([f"{missing} instances of {releases.service} are missing"] if missing > 0 else [])


def forget_others(releases: Releases, kept: list[str]) -> None:
    """Remove the releases that nobody wants to keep and that do not run, and images that no release here has."""
    running = {label(each, "release") for each in containers_of(releases.service)}
    for image in releases.remove_all_but(running | {releases.current, *kept}):
        docker("image", "rm", image, check=False)
