"""The process that forks a child for each file: `python -m aisha.speech.media.server`.

It is started by exec with an empty environment, so that neither it nor its children hold anything of the process
that knows the credentials. Standard input is a socket of packets. Each is an order as JSON, and brings the
descriptors of the file, of a pipe for samples and of a socket for what is known about them.
"""

import gc
import io
import json
import os
import selectors
import signal
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import av.subtitles.codeccontext  # noqa: F401 - PyAV loads it when a file has subtitles, and then a child cannot

from aisha.errors import AudioError
from aisha.forking import die_with_parent
from aisha.speech.audio import Blocks
from aisha.speech.level import RATE
from aisha.speech.media import child
from aisha.speech.media.child import Order

ORDER_BYTES = 4096
RECORDED = Path(__file__).parents[1] / "warm_up" / "en.ogg"

SECONDS_AT_LEAST = 20
BYTES_PER_SECOND = 5_000_000
"""Any file gets this much time, and a second more for as many bytes."""

THINNEST = 500
"""Bytes in which a second of audio can be encoded; Opus' lowest rate is 6 kbit/s."""

SLACK = 4
"""A codec may take so many times what Opus takes."""


@dataclass(frozen=True, slots=True)
class Child:
    """A child at work: `end` becomes readable when it ends, `words` when its reader has gone."""

    pid: int
    end: int
    words: socket.socket


class Server:
    """Forks children and watches them.

    1. It decodes recorded speech, so that children find every module loaded, and to learn how fast this host is.
    2. It takes an order, forks the child and closes what only the child needs.
    3. When a child ends, it says how. When nobody listens to a child any more, it kills it.
    """

    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders
        self._watched = selectors.DefaultSelector()
        self._watched.register(orders, selectors.EVENT_READ)
        self._speed = _decoding_speed()

    def serve(self) -> None:
        """Serve until no process is left that could send an order."""
        gc.collect()
        gc.freeze()
        while True:
            for key, _ in self._watched.select():
                if key.data is None:
                    self._take_order()
                elif key.fileobj == key.data.end:
                    self._ended(key.data)
                else:
                    self._abandoned(key.data)

    def _take_order(self) -> None:
        data, descriptors, _, _ = socket.recv_fds(self._orders, ORDER_BYTES, 3)
        if not data:
            raise SystemExit
        source, samples, words = descriptors
        order = self._order(json.loads(data), os.fstat(source).st_size)
        pid = os.fork()
        if not pid:
            _run(order, source, samples, words)
        os.close(source)
        os.close(samples)
        begun = Child(pid, os.pidfd_open(pid), socket.socket(fileno=words))
        for watched in (begun.end, begun.words):
            self._watched.register(watched, selectors.EVENT_READ, begun)

    def _order(self, wanted: dict[str, Any], size: int) -> Order:
        longest = wanted.pop("longest")
        seconds = wanted.pop("seconds") or allowed_seconds(size, longest, self._speed)
        return Order(seconds=seconds, **wanted)

    def _ended(self, ended: Child) -> None:
        _, status, usage = os.wait4(ended.pid, 0)
        self._watched.unregister(ended.end)
        os.close(ended.end)
        with suppress(KeyError):
            self._watched.unregister(ended.words)
        with suppress(OSError):
            last = {
                "ended": os.waitstatus_to_exitcode(status),
                "seconds": usage.ru_utime + usage.ru_stime,
                "memory": usage.ru_maxrss * 1024,
            }
            ended.words.send(json.dumps(last).encode() + b"\n", socket.MSG_DONTWAIT)
        ended.words.close()

    def _abandoned(self, left: Child) -> None:
        if left.words.fileno() < 0:
            return  # it ended at the same moment
        self._watched.unregister(left.words)
        os.kill(left.pid, signal.SIGKILL)


def allowed_seconds(size: int, longest: float, speed: float) -> int:
    """Return the processor seconds that a file of `size` bytes may take.

    `longest` is the most audio that is wanted of it, in seconds; `speed` is how many seconds of audio this host decodes
    in one.
    """
    audio = min(longest, size / THINNEST)
    return int(SECONDS_AT_LEAST + size / BYTES_PER_SECOND + SLACK * audio / speed)


def _run(order: Order, source: int, samples: int, words: int) -> NoReturn:
    status = 1
    try:
        child.run(order, source, samples, words)
        status = 0
    finally:
        os._exit(status)


def _decoding_speed() -> float:
    """Decode recorded speech, and what is none; return how many seconds of it are decoded in one of processor time."""
    with suppress(AudioError):
        Blocks(io.BytesIO(bytes(1000)))
    began = time.process_time()
    seconds = sum(block.size for block in Blocks(RECORDED)) / RATE
    return seconds / max(time.process_time() - began, 0.001)


if __name__ == "__main__":
    die_with_parent()
    Server(socket.socket(fileno=0)).serve()
