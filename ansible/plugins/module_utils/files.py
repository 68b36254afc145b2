"""Files that are there whole or not at all: written beside their place, and renamed into it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO


@contextlib.contextmanager
def replacing(path: Path, *, mode: int = 0o644, owner: tuple[int, int] | None = None) -> Iterator[BinaryIO]:
    """Give a file to write to, which takes the place of the one at `path` when the block ends.

    It is removed when the block raises. Nobody else can read it before it has its mode and its owner, the numbers of a
    user and a group.
    """
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)  # of a run that was killed
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        try:
            yield file
            if owner:
                os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def write(
    path: Path, content: str | bytes, *, mode: int = 0o644, owner: tuple[int, int] | None = None
) -> None:
    """Write a file whose folder exists."""
    with replacing(path, mode=mode, owner=owner) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def write_json(path: Path, value: object, *, mode: int = 0o644) -> None:
    """Write a JSON document that a person can read."""
    write(path, json.dumps(value, indent=1, sort_keys=True), mode=mode)


def read_json(path: Path) -> dict[str, Any]:
    """Return what a JSON document says; nothing when it is missing."""
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return found


def link(path: Path, target: str | Path) -> None:
    """Have a symbolic link lead to a target, without a moment in which there is none."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    partial.symlink_to(target)
    partial.replace(path)


def take_place(new: Path, place: Path) -> None:
    """Give a folder the name of another, which is removed; who has files of that open goes on reading them."""
    old = place.with_name(f".{place.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.rename(old)
    new.rename(place)
    shutil.rmtree(old, ignore_errors=True)
    descriptor = os.open(place.parent, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
