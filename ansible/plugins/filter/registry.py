"""The users of the role registry."""

import base64
import hashlib
import string

import bcrypt

STANDARD = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
BCRYPT = "./" + string.ascii_uppercase + string.ascii_lowercase + string.digits
"""The digits of bcrypt's own base 64."""


def htpasswd(users: list[dict], secret: str, rounds: int = 8) -> str:
    """Return a file of users with the bcrypt hashes of their passwords, each of 72 bytes at most; equal users give an equal file.

    A salt is drawn from the secret and the user's name, never from the password: it stands in the hash for all to read.
    `rounds` is a logarithm; few will do for strong passwords, and the registry computes a hash at every request.
    """
    lines = []
    for user in users:
        drawn = hashlib.sha256(f"{secret}\n{user['name']}".encode()).digest()[:16]
        salt = base64.b64encode(drawn).decode().rstrip("=").translate(str.maketrans(STANDARD, BCRYPT))
        hashed = bcrypt.hashpw(user["password"].encode(), f"$2b${rounds:02}${salt}".encode())
        lines.append(f"{user['name']}:{hashed.decode()}\n")
    return "".join(lines)


class FilterModule:
    """What Ansible asks for."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {"htpasswd": htpasswd}
