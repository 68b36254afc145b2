"""Docker's configuration, made from the variables of the role docker."""

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
    """Return all settings: the role's own, overridden by the wanted ones, and the insecure registries.

    A null is kept: it leaves a setting at Docker's default, without a line in the file.
    """
    settings = {**fixed, **reloadable, **wanted}
    if settings.get("log-driver") != JSON_FILE and "log-opts" not in wanted:
        settings.pop("log-opts", None)  # other drivers reject this driver's options
    unchecked = {each["address"] for each in registries if each.get("insecure")}
    return settings | {INSECURE: sorted({*(wanted.get(INSECURE) or []), *unchecked})}


def docker_file(settings: Mapping) -> dict[str, Any]:
    """Return the settings that the file contains."""
    return {name: value for name, value in settings.items() if value is not None}


def docker_restart_settings(settings: Mapping, reloadable: Mapping) -> dict[str, Any]:
    """Return the settings whose change a reload does not apply.

    This includes settings removed from the file: on a reload Docker keeps their old value.
    """
    return {name: value for name, value in settings.items() if name not in reloadable or value is None}


def docker_trust(
    registries: Iterable[Mapping], slurped: Iterable[Mapping], folder: str
) -> list[dict[str, str]]:
    """Return path and content of each registry's CA, given as PEM or as a path that slurp has read."""
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
    """Return this machine's address in a network, from the output of `docker network inspect`."""
    return str(json.loads(inspected)[0]["IPAM"]["Config"][0]["Gateway"])


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {
            "docker_file": docker_file,
            "docker_gateway": docker_gateway,
            "docker_restart_settings": docker_restart_settings,
            "docker_settings": docker_settings,
            "docker_trust": docker_trust,
        }
