"""Standard input, output and error of a command that may have been started without them.

Names of files are bytes that need not be UTF-8: they are written as they are. What is written here goes to the
descriptor at once, so nothing is left in a buffer that Python could fail to write at exit.
"""

import os
import sys
from contextlib import suppress
from typing import BinaryIO

STDOUT, STDERR = 1, 2


def hold_descriptors() -> None:
    """Open /dev/null in place of each closed one of 0, 1 and 2, so that no other file gets that number."""
    for descriptor in (0, STDOUT, STDERR):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one


def standard_input() -> BinaryIO:
    """Return it.

    Raises:
        OSError: the command was started without it.
    """
    if sys.stdin is None:
        raise OSError("standard input is closed")
    return sys.stdin.buffer


def put(text: str) -> None:
    """Write to standard output.

    Raises:
        OSError: it cannot be written.
    """
    _write(STDOUT, text)


def complain(text: str) -> None:
    """Write a line to standard error; where nobody reads that, there is nobody to tell."""
    with suppress(OSError):
        _write(STDERR, f"{text}\n")


def _write(descriptor: int, text: str) -> None:
    data = memoryview(text.encode("utf-8", "surrogateescape"))
    while data:
        data = data[os.write(descriptor, data) :]
