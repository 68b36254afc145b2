"""The record of what was last applied on this host; it is written afterwards, so that a killed run is made up for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.module_utils.files import read_json, write_json

FOLDER = Path("/var/lib/aisha/applied")


def applied(name: str) -> dict[str, Any]:
    """Return what was last applied under a name; nothing when that is not known."""
    try:
        return read_json(FOLDER / f"{name}.json")
    except (OSError, ValueError):
        return {}


def remember(name: str, present: dict[str, Any]) -> None:
    """Record what has just been applied."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    write_json(FOLDER / f"{name}.json", present)
