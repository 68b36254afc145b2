"""The passwords of the embedded services: made once, kept in a folder that only its owner reads."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path


def password() -> str:
    """Return a new random password; its letters need no quoting in an address or a configuration file."""
    return secrets.token_hex(24)


def bot_token() -> str:
    """Return a new token in the form that BotFather gives."""
    return f"{secrets.randbelow(9 * 10**9) + 10**9}:{secrets.token_hex(17)}Z"


class Credentials:
    """A folder (0700) with a file (0600) for each secret."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)

    def __contains__(self, name: str) -> bool:
        return (self.folder / name).exists()

    def get(self, name: str, make: Callable[[], str] = password) -> str:
        """Return the secret of this name, creating it if there is none."""
        if name not in self:
            self.write(name, make())
        return (self.folder / name).read_text().strip()

    def write(self, name: str, text: str) -> Path:
        """Replace a file of the folder atomically: a crash leaves the old one or the new one."""
        path = self.folder / name
        new = path.with_suffix(".new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        return new.replace(path)
