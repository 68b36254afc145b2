"""One `aisha run` for each data folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aisha.errors import ServiceError


@contextmanager
def exclusive(data_dir: Path) -> Iterator[None]:
    """Hold the data folder's lock; the kernel drops it when the process ends, however it ends.

    Raises:
        ServiceError: another process holds it; names that process.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / "run.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise ServiceError(_in_use(data_dir, file.read().strip())) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _in_use(data_dir: Path, pid: str) -> str:
    return (
        f"{data_dir} is in use by another `aisha run`, process {pid or 'unknown'}: "
        "stop that one, or set AISHA_DATA_DIR to another folder"
    )
