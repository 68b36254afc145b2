"""The releases of an app's services on this host: a folder each, named by what is in it, that nothing changes."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.module_utils.digests import of_text, of_value
from ansible.module_utils.files import link, read_json, take_place, write, write_json

RELEASES = Path("/var/lib/aisha/releases")
MANIFEST = "manifest.json"
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


def manifest_of(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return what a release is made of; of its secrets the digests."""
    return {
        "service": parameters["service"],
        "image": parameters["image"],
        "environment": {name: str(value) for name, value in parameters["environment"].items()},
        "secrets": {name: of_text(str(value)) for name, value in parameters["secrets"].items()},
        "options": {name: parameters[name] for name in OPTIONS},
    }


def release_of(manifest: dict[str, Any]) -> str:
    """Return the release's name: the same for the same manifest."""
    return of_value(manifest)[:12]


def changes_between(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Return in words what changes from one manifest to another, or from none; values of secrets are in neither."""
    if not old:
        return [f"first release, {new['image']}"]
    words = [f"image {old['image']} -> {new['image']}"] if old["image"] != new["image"] else []
    for kind in ("environment", "options"):
        for name, before, after in differences(old[kind], new[kind]):
            words.append(f"{name}: {before} -> {after}")
    return words + [f"secret {name}" for name, _, _ in differences(old["secrets"], new["secrets"])]


def differences(old: dict[str, Any], new: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Give the names that differ, sorted, each with its value before and after."""
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before != after:
            yield name, before, after


class Releases:
    """The releases of one service on this host."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.folder = RELEASES / service
        self._current = self.folder / "current"
        self._restarts = self.folder / "restarts.json"

    def manifest(self, release: str) -> dict[str, Any]:
        """Return a release's manifest; nothing when it is not here."""
        return read_json(self.folder / release / MANIFEST)

    @property
    def current(self) -> str:
        """The release that was brought up last."""
        return self._current.readlink().name if self._current.is_symlink() else ""

    def remember(self, release: str) -> None:
        """Make a release the current one."""
        if release:
            link(self._current, release)
        else:
            self._current.unlink(missing_ok=True)

    def remember_restarts(self, restarts: dict[str, int]) -> None:
        """Keep how often Docker had restarted each container, by its name, when it was ready."""
        self.folder.mkdir(parents=True, exist_ok=True)  # where nothing was ever prepared, and all is to end
        write_json(self._restarts, restarts)

    def restarts(self) -> dict[str, int]:
        """Return what was kept of that."""
        return read_json(self._restarts)

    def write(self, manifest: dict[str, Any], secrets: dict[str, Any]) -> None:
        """Write a release's folder, whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        RELEASES.chmod(0o700)
        partial = Path(tempfile.mkdtemp(dir=self.folder, prefix=".new-"))
        user, _, group = manifest["options"]["user"].partition(":")
        owner = int(user), int(group)
        kept = partial / "secrets"
        kept.mkdir()
        for name, value in secrets.items():
            write(kept / name, str(value), mode=0o400, owner=owner)
        os.chown(kept, *owner)
        kept.chmod(0o500)
        write_json(partial / MANIFEST, manifest, mode=0o600)
        take_place(partial, self.folder / release_of(manifest))

    def is_whole(self, release: str) -> bool:
        """Tell whether a release's folder has what its manifest says."""
        manifest = self.manifest(release)
        secrets = self.folder / release / "secrets"
        try:
            return bool(manifest) and all(
                of_text((secrets / name).read_text()) == digest
                for name, digest in manifest["secrets"].items()
            )
        except OSError:
            return False

    def remove_all_but(self, kept: set[str]) -> set[str]:
        """Remove releases, and return the images that no release on this host has any more."""
        folders = [each for each in self.folder.iterdir() if each.is_dir() and not each.is_symlink()]
        gone = [each for each in folders if each.name not in kept and not each.name.startswith(".")]
        images = {manifest["image"] for each in gone if (manifest := self.manifest(each.name))}
        for each in gone:
            shutil.rmtree(each)
        return images - {read_json(path)["image"] for path in RELEASES.glob(f"*/*/{MANIFEST}")}
