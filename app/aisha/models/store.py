"""The models on this machine: one folder each, with a marker that is written last.

This module imports nothing heavy: every start asks it whether there is anything to pull.
"""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from aisha.models.catalogue import LANGUAGES, Size

MARKER = "aisha-model.json"


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A model in its folder, where it came from, and the SHA-256 of its archive when there was one."""

    name: str
    language: str
    size: Size
    path: Path
    source: str = ""
    sha256: str = ""


def installed_models(models_dir: Path) -> list[InstalledModel]:
    """Return every complete model in the folder, by name."""
    found = (_read(marker) for marker in sorted(models_dir.glob(f"*/{MARKER}")))
    return [model for model in found if model]


def installed(models_dir: Path) -> dict[str, InstalledModel]:
    """Return the best installed model of each language code: a large one before a small one."""
    best: dict[str, InstalledModel] = {}
    for model in installed_models(models_dir):
        if model.language not in best or model.size == "large":
            best[model.language] = model
    return {code: best[code] for code in sorted(best, key=_rank)}


def write_marker(model: InstalledModel) -> None:
    """Declare the folder a complete model."""
    facts = {key: value for key, value in asdict(model).items() if key != "path"}
    (model.path / MARKER).write_text(json.dumps(facts, indent=2) + "\n")


def remove(model: InstalledModel) -> None:
    """Delete a model; its marker goes first, so that half a folder is no model."""
    (model.path / MARKER).unlink()
    shutil.rmtree(model.path)


def _read(marker: Path) -> InstalledModel | None:
    """Return the model of a marker; none when it is unreadable or in an unfinished, hidden folder."""
    if marker.parent.name.startswith("."):
        return None
    try:
        facts = json.loads(marker.read_text())
        return InstalledModel(**facts, path=marker.parent)
    except (OSError, ValueError, TypeError):
        return None


def _rank(code: str) -> tuple[int, str]:
    """Order languages as the catalogue does, unknown ones last."""
    known = list(LANGUAGES)
    return (known.index(code) if code in LANGUAGES else len(known), code)
