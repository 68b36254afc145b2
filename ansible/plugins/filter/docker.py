"""What Docker reads, made from the variables of the role docker."""

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

INSECURE = "insecure-registries"
JSON_FILE = "json-file"
PEM = "BEGIN CERTIFICATE"


def docker_settings(
    wanted: Mapping, fixed: Mapping, reloadable: Mapping, registries: Iterable[Mapping]
) -> dict[str, Any]:
    """Return all settings: the role's own, over them those that are wanted, and the registries that nobody checks.

    A null stays in it; it says that a setting is Docker's to choose, and is no line of the file.
    """
    settings = {**fixed, **reloadable, **wanted}
    if settings.get("log-driver") != JSON_FILE and "log-opts" not in wanted:
        settings.pop("log-opts", None)  # another driver refuses those of this one
    unchecked = {each["address"] for each in registries if each.get("insecure")}
    return settings | {INSECURE: sorted({*(wanted.get(INSECURE) or []), *unchecked})}


def docker_file(settings: Mapping) -> dict[str, Any]:
    """Return what the file says of the settings."""
    return {name: value for name, value in settings.items() if value is not None}


def docker_restart_settings(settings: Mapping, reloadable: Mapping) -> dict[str, Any]:
    """Return the settings whose change a reload does not apply.

    One that is gone from the file is among them: on a reload Docker keeps the value that it had.
    """
    return {name: value for name, value in settings.items() if name not in reloadable or value is None}


def docker_trust(
    registries: Iterable[Mapping], slurped: Iterable[Mapping], folder: str
) -> list[dict[str, str]]:
    """Return path and content of each registry's authority, which is PEM, or a path that the task slurp has read."""
    read = {each["source"]: base64.b64decode(each["content"]).decode() for each in slurped}
    return [
        {
            "path": f"{folder}/{each['address']}/ca.crt",
            "content": each["ca"] if PEM in each["ca"] else read[each["ca"]],
        }
        for each in registries
        if each.get("ca")
    ]


def docker_gateway(inspected: str) -> str:
    """Return the address of this machine in a network, from what `docker network inspect` says."""
    return str(json.loads(inspected)[0]["IPAM"]["Config"][0]["Gateway"])


class FilterModule:
    """What Ansible asks for."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {
            "docker_file": docker_file,
            "docker_gateway": docker_gateway,
            "docker_restart_settings": docker_restart_settings,
            "docker_settings": docker_settings,
            "docker_trust": docker_trust,
        }
