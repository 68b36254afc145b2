"""Free ports on 127.0.0.1."""

import random
import socket
from contextlib import ExitStack
from pathlib import Path

from aisha.errors import ServiceError

HOST = "127.0.0.1"
LOWEST = 10_240
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
ATTEMPTS = 500


def free(count: int) -> list[int]:
    """Return random ports that nobody listens on, from below the kernel's ephemeral range.

    A client that tries again and again to reach a dead server's ephemeral port is sooner or later given that
    very port as its own, connects to itself and keeps the server from coming back.

    Raises:
        ServiceError: there are not that many.
    """
    candidates = random.sample(range(LOWEST, _highest()), ATTEMPTS)
    with ExitStack() as taken:
        found: list[int] = []
        while candidates and len(found) < count:
            listener = taken.enter_context(socket.socket())
            if _bind(listener, port := candidates.pop()):
                found.append(port)
    if len(found) < count:
        raise ServiceError(f"no {count} free ports between {LOWEST} and {_highest()}")
    return found


def next_free(port: int, *, but: frozenset[int] = frozenset()) -> int:
    """Return this port, or the first free one above it that is not in `but`; with 0 any free port."""
    if port == 0:
        return free(1)[0]
    for candidate in range(port, min(port + ATTEMPTS, 65536)):
        if candidate not in but and is_free(candidate):
            return candidate
    raise ServiceError(f"no free port from {port} to {port + ATTEMPTS}")


def is_free(port: int) -> bool:
    """Tell whether a server could listen on the port now."""
    with socket.socket() as listener:
        return _bind(listener, port)


def _bind(listener: socket.socket, port: int) -> bool:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: TIME_WAIT is no hindrance
    try:
        listener.bind((HOST, port))
        listener.listen(1)
    except OSError:
        return False
    return True


def _highest() -> int:
    try:
        return max(int(EPHEMERAL.read_text().split()[0]), LOWEST + ATTEMPTS)
    except (OSError, ValueError, IndexError):
        return 32_768
