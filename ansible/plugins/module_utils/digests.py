"""SHA-256 of texts, files and values."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path


def of_text(text: str) -> str:
    """Return a text's."""
    return hashlib.sha256(text.encode()).hexdigest()


def of_value(value: object) -> str:
    """Return that of a value as JSON; the order of a dictionary's keys does not matter."""
    return of_text(json.dumps(value, sort_keys=True))


def of_file(path: Path) -> str:
    """Return a file's, however large it is."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
