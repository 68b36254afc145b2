"""Opens what the command is given: files, and pipes, devices and standard input, which can be read only once."""

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import BinaryIO, cast

from aisha.speech.console import standard_input

STDIN = "-"
"""The argument that is standard input; `./-` is a file."""

CHUNK = 1024 * 1024


class Sources:
    """What can be read only once is copied first, since some containers must be read backwards.

    The copy serves whenever the same pipe is named again.
    """

    def __init__(self) -> None:
        self._copies: dict[tuple[int, int], BinaryIO] = {}
        self._open = ExitStack()

    def __enter__(self) -> "Sources":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Open a file, from its beginning.

        Raises:
            OSError: it cannot be opened, read or copied.
        """
        if can_be_reread(name):
            with Path(name).open("rb") as file:
                yield file
        else:
            yield self._copy(name)

    def _copy(self, name: str) -> BinaryIO:
        status = os.fstat(standard_input().fileno()) if name == STDIN else Path(name).stat()
        key = (status.st_dev, status.st_ino)
        if key not in self._copies:
            copy = self._open.enter_context(TemporaryFile())  # noqa: SIM115 the stack closes it
            with nullcontext(standard_input()) if name == STDIN else Path(name).open("rb") as source:
                copyfileobj(source, copy, CHUNK)
            self._copies[key] = cast("BinaryIO", copy)
        self._copies[key].seek(0)
        return self._copies[key]


def can_be_reread(name: str) -> bool:
    """Tell whether a name is that of a regular file or folder, or of nothing, and no pipe, device or standard input."""
    if name == STDIN:
        return False
    try:
        mode = Path(name).stat().st_mode
    except (OSError, ValueError):
        return True
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)
