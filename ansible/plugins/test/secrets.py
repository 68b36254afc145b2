"""Tests of secrets, for preflight checks."""

SHORTEST = 16
WELL_KNOWN = ("admin", "changeme", "change_me", "example", "minioadmin", "password", "secret")


def strong_secret(value: object) -> bool:
    """Tell whether a secret is a string of at least 16 characters, varied, and none of the well-known ones."""
    if not isinstance(value, str) or len(value) < SHORTEST or len(set(value)) < SHORTEST // 2:
        return False
    return not any(value.lower().startswith(word) for word in WELL_KNOWN)


class TestModule:
    """What Ansible asks for."""

    def tests(self) -> dict[str, object]:
        """Return the tests by name."""
        return {"strong_secret": strong_secret}
