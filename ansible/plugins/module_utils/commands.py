"""Commands that fail with their own words."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping


class CommandError(Exception):
    """A command failed; says which, and what it said."""

    def __init__(self, command: tuple[str, ...], said: str) -> None:
        super().__init__(f"{' '.join(command)}: {said}")
        self.command, self.said = command, said


def run(
    *command: str, check: bool = True, stdin: str | None = None, env: Mapping[str, str] | None = None
) -> str:
    """Run a command and return what it printed, without spaces around it.

    Raises:
        CommandError: it failed and that is not allowed, or it does not exist.
    """
    try:
        done = subprocess.run(
            command,
            input=stdin,
            env=env,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise CommandError(command, str(error)) from error
    if check and done.returncode:
        raise CommandError(command, (done.stderr or done.stdout).strip())
    return done.stdout.strip()
