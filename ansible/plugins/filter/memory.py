"""How the services of one server share its memory."""

from collections.abc import Iterable

HUNGRY = {"cache", "database", "objects", "registry", "workers"}
"""The groups whose services want as much memory as they get."""


def memory_share(total_mib: int, groups: Iterable[str], part: float = 1.0, minimum: int = 0) -> int:
    """Return the MiB of one of a server's services: a part of its share, which is the same for each that is hungry."""
    return max(int(total_mib * part / max(len(HUNGRY.intersection(groups)), 1)), minimum)


class FilterModule:
    """What Ansible asks for."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {"memory_share": memory_share}
