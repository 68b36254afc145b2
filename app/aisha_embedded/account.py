"""The account that PostgreSQL runs as: it refuses uid 0."""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path

from aisha.errors import ServiceError


@dataclass(frozen=True)
class Account:
    """An unprivileged account; `uid` is None for the one we are."""

    uid: int | None = None
    gid: int | None = None

    def may_enter(self, folder: Path) -> bool:
        """Tell whether the account can use paths within the folder; asks the kernel, as that account."""
        if self.uid is None:
            return os.access(folder, os.X_OK)
        probe = subprocess.run(
            ["test", "-x", str(folder)], user=self.uid, group=self.gid, extra_groups=[], cwd="/", check=False
        )
        return probe.returncode == 0

    def own(self, path: Path) -> None:
        """Give the path to the account."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


def unprivileged() -> Account:
    """Return ourselves, or `nobody` when we are root."""
    if os.geteuid() != 0:
        return Account()
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid)


def owner(folder: Path) -> Account:
    """Return the account to use a folder with: its owner, if this process can switch to that.

    Raises:
        ServiceError: it belongs to root or, unless we are root, to somebody else.
    """
    found = folder.stat()
    if os.geteuid() != 0 and found.st_uid == os.geteuid():
        return Account()
    if os.geteuid() == 0 and found.st_uid != 0:
        return Account(found.st_uid, found.st_gid)
    raise ServiceError(
        f"{folder} belongs to uid {found.st_uid}: run as its owner (or as root when it was made by root), "
        "or set AISHA_DATA_DIR to another folder"
    )
