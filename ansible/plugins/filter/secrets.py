"""Which secrets an installation has."""

import re
from pathlib import Path
from typing import Any

import yaml

SOURCES = ("roles/*/defaults/main.yml", "inventories/common/*.yml")
READ = re.compile(r"\bvault_[a-z0-9_]+\b(?! *\| *default)")


def vault_names(root: str) -> list[str]:
    """Return the names `vault_*` that roles' defaults and the wiring of a repository read; those with a default may be missing."""
    files = [file for pattern in SOURCES for file in Path(root).glob(pattern)]
    return sorted({name for file in files for name in names_in(yaml.safe_load(file.read_text()))})


def names_in(value: Any) -> list[str]:
    """Return the names that the texts of a value read, however deep they are."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [name for each in value for name in names_in(each)]
    return READ.findall(value) if isinstance(value, str) else []


class FilterModule:
    """What Ansible asks for."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {"vault_names": vault_names}
