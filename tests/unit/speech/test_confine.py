"""A process that parses a file can do nothing but that."""

import os
import resource
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from aisha.speech.media import confine

MIB = 2**20


def in_child(do: Callable[[], object]) -> int:
    """Return how a forked process ends: 0, the number of the error, or the signal, negative."""
    pid = os.fork()
    if not pid:
        status = 99
        try:
            do()
            status = 0
        except MemoryError:
            status = 98
        except OSError as error:
            status = error.errno or 97
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def confined(do: Callable[[], object]) -> Callable[[], object]:
    def run() -> None:
        assert confine.forbid()
        do()

    return run


FORBIDDEN: dict[str, Callable[[], object]] = {
    "open a file": lambda: Path("/etc/hostname").read_text(),
    "list a folder": lambda: list(Path("/proc").iterdir()),
    "make a network socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    "make a local socket": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
    "make a pair of sockets": socket.socketpair,
    "fork": os.fork,
    "start a program": lambda: os.execv("/bin/true", ["true"]),
    "signal another process": lambda: os.kill(os.getppid(), 0),
    "change its limits": lambda: resource.prlimit(0, resource.RLIMIT_CPU),
    "remove a file": lambda: Path("/no/such/file").unlink(),
    "make a pipe": os.pipe,
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_a_confined_process_cannot(what: str) -> None:
    assert in_child(confined(FORBIDDEN[what])) == 1  # EPERM


def test_a_confined_process_can_read_and_write_what_it_has() -> None:
    reading, writing = os.pipe()

    def work() -> None:
        os.write(writing, b"x" * 5)

    assert in_child(confined(work)) == 0
    assert os.read(reading, 9) == b"xxxxx"


def test_what_is_beyond_the_limit_of_memory_is_refused() -> None:
    assert in_child(lambda: (confine.limit(64 * MIB, 60), bytes(32 * MIB))) == 0
    assert in_child(lambda: (confine.limit(64 * MIB, 60), bytes(128 * MIB))) == 98


def test_beyond_the_limit_of_time_a_process_ends() -> None:
    def work() -> None:
        confine.limit(64 * MIB, 1)
        while True:
            pass

    assert in_child(work) == -signal.SIGXCPU


def test_only_the_descriptors_that_it_needs_are_left() -> None:
    reading, writing = os.pipe()
    kept = os.open(os.devnull, os.O_RDONLY)

    def work() -> None:
        confine.keep_only({kept, writing})
        left = {int(path.name) for path in Path("/proc/self/fd").iterdir() if path.exists()}
        os.write(writing, repr(sorted(left - {0, 1, 2, kept, writing})).encode())

    assert in_child(work) == 0
    assert os.read(reading, 100) == b"[]"
