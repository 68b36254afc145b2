"""Tests of secrets, for preflight checks."""

SHORTEST = 16
WELL_KNOWN = ("admin", "changeme", "change_me", "example", "minioadmin", "password", "secret")


def strong_secret(value: object) -> bool:
    """Tell whether a secret is a varied string of at least 16 characters, and does not begin with a well-known word."""
    if not isinstance(value, str) or len(value) < SHORTEST or len(set(value)) < SHORTEST // 2:
        return False
    return not any(value.lower().startswith(word) for word in WELL_KNOWN)


class TestModule:
    """What Ansible loads."""

    def tests(self) -> dict[str, object]:
        """Return the tests by name."""
        return {"strong_secret": strong_secret}
