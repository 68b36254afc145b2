"""What a release of the whole fleet is: units, each a service on a host, and the release that each is to run."""

from collections.abc import Iterable, Mapping
from typing import Any

SERVICES = {"bot": "bots", "worker": "workers"}
"""Each service, in the order of a roll, and the group of its hosts."""

FIRST = {
    "release": "",
    "current": "",
    "changes": ["a first release, once this host has Docker"],
    "must_roll": True,
}
"""What is known of a unit whose host check mode has found bare."""


def release_units(hostvars: Mapping, groups: Mapping) -> list[dict[str, Any]]:
    """Return the units that the roles have prepared: host by host, so that one host at a time is changing.

    A bare host cannot be prepared in check mode, and has the release before it all the same.
    """
    return [
        {"host": host, "service": service, **(FIRST if prepared.get("skipped") else kept(prepared))}
        for host in hosts_of(groups)
        for service in SERVICES
        if (prepared := hostvars[host].get(f"{service}_release"))
    ]


def hosts_of(groups: Mapping) -> list[str]:
    """Return every host of a service, once each, in the order of the groups."""
    return list(dict.fromkeys(host for group in SERVICES.values() for host in groups.get(group, [])))


def kept(prepared: Mapping) -> dict[str, Any]:
    """Return what a roll needs of what app_service has told."""
    return {name: prepared[name] for name in ("release", "current", "changes", "must_roll")}


def release_units_of(manifest: Mapping, current: Mapping, hosts: Iterable[str]) -> list[dict[str, Any]]:
    """Return an older manifest's units on these hosts; `current` is the one that runs, to which a failed return goes back.

    A host that the manifest names and that is no longer there cannot go back, and does not keep the others from it.
    """
    running = current.get("units", {})
    return [
        {
            "host": host,
            "service": service,
            "release": release,
            "current": running.get(host, {}).get(service, ""),
            "changes": [f"release {running.get(host, {}).get(service) or 'none'} -> {release}"],
            "must_roll": True,
        }
        for host, services in manifest["units"].items()
        if host in hosts
        for service, release in services.items()
    ]


def release_undone(rolled: Iterable[Mapping], action: str) -> list[Mapping]:
    """Return the units that go back when a release fails, the last first.

    What ran before a deploy was seen on the host, and nothing is an answer too. What ran before a return is what the
    manifest says, and where that says nothing the host is left as it is.
    """
    return [unit for unit in rolled if unit["current"] or action == "deploy"][::-1]


def release_waves(units: Iterable[Mapping], action: str) -> list[list[Mapping]]:
    """Return the units that have to roll, in groups that roll at once: host after host, and all together on the way back.

    What is gone back to has run before, and is wanted soon.
    """
    due = [unit for unit in units if unit["must_roll"]]
    if action == "rollback":
        return [due] if due else []
    waves: dict[str, list[Mapping]] = {}
    for unit in due:
        waves.setdefault(unit["host"], []).append(unit)
    return list(waves.values())


def release_kept(releases: Iterable[Mapping], unit: Mapping) -> list[str]:
    """Return the releases of a unit's service that manifests name, so that each of these can be gone back to."""
    named = {each["units"].get(unit["host"], {}).get(unit["service"]) for each in releases}
    return sorted(named - {None})


def release_plan(units: Iterable[Mapping], webhook: Mapping) -> list[str]:
    """Return in words what a release will change, a line for each change on each host, and for Telegram's part."""
    lines = [
        f"{unit['host']}: {unit['service']}: {change}"
        for unit in units
        if unit["must_roll"]
        for change in unit["changes"]
    ]
    if webhook.get("must_roll"):
        lines.append("Telegram: how updates are to come")
    return lines or ["nothing: every host runs its release"]


def release_manifest(
    units: Iterable[Mapping], name: str, who: str, more: Mapping, before: Iterable[Mapping], groups: Mapping
) -> dict[str, Any]:
    """Return the manifest to record: what each host runs from now on.

    Hosts that this release left out run what the newest of the manifests `before` says, if they are still there.
    """
    newest: Mapping = next(iter(before), {"units": {}})["units"]
    found = {host: dict(services) for host, services in newest.items() if host in hosts_of(groups)}
    for unit in units:
        found.setdefault(unit["host"], {})[unit["service"]] = unit["release"]
    return {"id": name, "who": who, "units": found, **more}


def release_target(releases: list[Mapping], current: Mapping, wanted: str) -> Mapping:
    """Return the manifest to go back to: the one that is wanted, else the newest before the current one.

    After a return the current one is a copy of an older one, and what counts is what lies before that.

    Raises:
        ValueError: there is none; names those that there are.
    """
    known = ", ".join(each["id"] for each in releases) or "none"
    if wanted:
        found = [each for each in releases if each["id"] == wanted]
        problem = f"there is no release {wanted}; there are: {known}"
    else:
        since = current.get("back_to") or current.get("id", "")
        found = [each for each in releases if each["id"] < since]
        problem = f"there is no release before {since or 'the first'}; there are: {known}"
    if not found:
        raise ValueError(problem)
    return found[0]


def release_list(releases: Iterable[Mapping], current: Mapping) -> list[str]:
    """Return a line for each release, the one that runs marked."""
    return [
        f"{'*' if each['id'] == current.get('id') else ' '} {each['id']}  {each.get('image', '')}  by {each['who']}"
        for each in releases
    ]


def release_why(result: Mapping) -> str:
    """Return what a failed task says: of a loop what its failed items say, each with its unit."""
    failed = [each for each in result.get("results", []) if each.get("failed") or each.get("unreachable")]
    said = [f"{named(each)}{each.get('msg', '')}" for each in failed]
    return "\n".join(said) or str(result.get("msg", "it says nothing"))


def named(result: Mapping) -> str:
    """Return the unit of one item's result."""
    unit = result.get("unit") or result.get("begun", {}).get("unit")
    return f"{unit['service']} on {unit['host']}: " if unit else ""


def release_reverted(results: Iterable[Mapping]) -> str:
    """Return in words what became of the units that were to go back."""
    lines = [
        f"{unit['service']} on {unit['host']} "
        + (
            f"DID NOT go back to {unit['current'] or 'nothing'}: {result.get('msg', '')}"
            if result.get("failed") or result.get("unreachable")
            else f"is back at {unit['current'] or 'nothing'}"
        )
        for result in results
        for unit in [result["unit"]]
    ]
    return "\n".join(lines) or "Nothing else had changed."


class FilterModule:
    """What Ansible asks for."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {
            function.__name__: function
            for function in (
                release_kept,
                release_list,
                release_manifest,
                release_plan,
                release_reverted,
                release_target,
                release_undone,
                release_units,
                release_units_of,
                release_waves,
                release_why,
            )
        }
