"""Where the services' output goes: log files of bounded size."""

import os
import shutil
from pathlib import Path

LIMIT = 5 * 1024 * 1024


def open_log(path: Path) -> int:
    """Open a log file to append to and return its descriptor; a full one becomes `NAME.1` first."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    bound(path)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def bound(path: Path) -> None:
    """Copy a full log to `NAME.1` and truncate it; its writer, which appends, continues at the beginning."""
    if path.exists() and path.stat().st_size > LIMIT:
        shutil.copyfile(path, path.with_suffix(path.suffix + ".1"))
        os.truncate(path, 0)


def tail(path: Path | None, lines: int = 8) -> str:
    """Return a log file's last lines."""
    if path is None or not path.exists():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
