"""Reads an environment's inventory over the wiring that all environments share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory.yaml import InventoryModule as YamlInventory

DOCUMENTATION = r"""
name: wired
short_description: YAML inventory that is read over inventories/common
description:
  - Reads YAML inventories like the plugin yaml, and before the first of them those in C(inventories/common), unless they were read.
    So C(-i inventories/staging) alone has the groups and variables that all environments share, and what it says itself goes
    before them.
  - Refuses an inventory that does not exist, and a C(hosts.yml) after which no server is in any group.
options:
  yaml_extensions: {description: Endings of inventory files., type: list, elements: string, default: [.yaml, .yml, .json]}
author: [Aisha]
"""

INVENTORIES = Path(__file__).resolve().parents[3] / "inventories"
COMMON = INVENTORIES / "common"
SERVERS = "servers"


class InventoryModule(YamlInventory):
    """What Ansible asks for."""

    NAME = "wired"

    def verify_file(self, path: str) -> bool:
        """Take YAML files, and a path that does not exist, to say so; a list of hosts has commas."""
        return super().verify_file(path) or not ("," in path or Path(path).exists())

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Read the file, and the wiring before it."""
        if not Path(path).exists():
            raise AnsibleParserError(f"{path} does not exist; there are: {', '.join(environments())}")
        is_wiring = COMMON in Path(path).resolve().parents
        if SERVERS not in inventory.groups and not is_wiring:
            for each in wiring():
                super().parse(inventory, loader, str(each), cache)
        super().parse(inventory, loader, path, cache)
        if Path(path).name == "hosts.yml" and not is_wiring and not inventory.groups[SERVERS].get_hosts():
            raise AnsibleParserError(f"{path} puts no server into any group: nothing would be done")


def wiring() -> list[Path]:
    """Return the files that all environments share.

    Raises:
        AnsibleParserError: there are none; without them a server would be set up with roles' defaults alone.
    """
    if not (COMMON / "hosts.yml").exists():
        raise AnsibleParserError(
            f"{COMMON} is missing, which says how services reach each other: restore it from git"
        )
    return sorted(COMMON.glob("*.yml"))


def environments() -> list[str]:
    """Return the folders that can be named with -i."""
    folders = sorted(path.parent for path in INVENTORIES.glob("*/hosts.yml"))
    return [f"inventories/{folder.name}" for folder in folders if folder != COMMON]
