"""Tests of addresses, for preflight checks."""

import ipaddress

PRIVATE_ENDINGS = (
    "home.arpa",
    "internal",
    "intranet",
    "invalid",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "test",
)


def private_address(value: str) -> bool:
    """Tell whether an address, or a name (without a dot, or with an ending such as `.internal`), is private to a network."""
    try:
        return not ipaddress.ip_address(value.strip("[]")).is_global
    except ValueError:
        return "." not in value.rstrip(".") or value.rstrip(".").lower().endswith(
            tuple(f".{ending}" for ending in PRIVATE_ENDINGS)
        )


class TestModule:
    """What Ansible loads."""

    def tests(self) -> dict[str, object]:
        """Return the tests by name."""
        return {"private_address": private_address}
