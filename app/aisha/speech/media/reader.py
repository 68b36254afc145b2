"""Reads strangers' files through children that can do nothing else; its interface is that of `speech.audio`."""

import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from fcntl import F_SETPIPE_SZ, fcntl
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from aisha.errors import (
    AudioError,
    DecoderKilledError,
    EmptyFileError,
    NoSoundError,
    ServiceError,
    UnreadableFileError,
)
from aisha.settings import Settings
from aisha.speech.audio import AudioInfo, Source
from aisha.speech.loudness import BLOCK
from aisha.speech.media.bounds import Bounds
from aisha.speech.media.server import RECORDED

COMMAND = ("-I", "-m", "aisha.speech.media.server")
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}
"""All that a server knows; with threads of a library it could not be forked."""

SEND_SECONDS = 10
PIPE_BYTES = 1 << 20
WORDS_BYTES = 1 << 16
ERRORS: dict[str, type[AudioError]] = {
    error.__name__: error for error in (EmptyFileError, NoSoundError, UnreadableFileError)
}
INFO = TypeAdapter(AudioInfo)


class MediaReader:
    """Has a server fork a child for each file.

    1. `start` starts the server by exec, with nothing but its end of a socket.
    2. Processes that are forked from this one send their orders into the same socket; each has a pipe for the answer.
    3. A server that has died is replaced by `keep_alive`, and finds the orders that were sent meanwhile.
    4. The server ends with the process that started it.
    """

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self._orders, self._far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._orders.settimeout(SEND_SECONDS)
        self._owner = os.getpid()
        self._server = 0

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return a reader whose bounds are set, or suit this host."""
        return cls(Bounds.of(settings))

    def start(self) -> Self:
        """Start the server; it needs half a second, for which the first order waits."""
        self._server = os.posix_spawn(
            sys.executable,
            [sys.executable, *COMMAND],
            ENVIRONMENT,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, self._far.fileno(), 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            ],
            setpgroup=0,  # a terminal's Ctrl-C is not for it
            setsigmask=[],
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
        )
        return self

    def keep_alive(self) -> None:
        """Start the server again if it has ended; does nothing in a process that was forked from the starting one."""
        if self._owner == os.getpid() and _has_ended(self._server):
            self.start()

    def check(self) -> None:
        """Read recorded speech.

        Raises:
            ServiceError: that fails, so every other recording would.
        """
        try:
            with self.blocks(RECORDED) as reading:
                next(reading)
        except (AudioError, StopIteration) as error:
            raise ServiceError(f"the process that reads recordings does not work here: {error}") from None

    def probe(self, source: Source) -> AudioInfo:
        """Read what the headers tell, without decoding; errors as of `blocks`."""
        with Reading(self, source, only_headers=True) as reading:
            return reading.info

    def blocks(self, source: Source, expected_duration: float | None = None) -> "Reading":
        """Decode a file, which must have a descriptor, as `speech.audio.blocks` does, within bounds.

        Raises:
            AudioError: as that; a file that goes beyond a bound, or makes the decoder crash, is unreadable.
        """
        return Reading(self, source, expected_duration)

    def order(self, descriptors: list[int], **wanted: Any) -> None:
        """Send an order with its three descriptors: of the file, of a pipe for samples, of a socket for words."""
        self.keep_alive()
        limits = {
            "memory": self.bounds.memory,
            "seconds": self.bounds.seconds,
            "longest": self.bounds.longest,
        }
        socket.send_fds(self._orders, [json.dumps(wanted | limits).encode()], descriptors)


@dataclass(frozen=True, slots=True)
class Usage:
    """What reading a file took: processor seconds, and the most bytes of memory at a time."""

    seconds: float
    memory: int


class Reading(Iterator[NDArray[np.int16]]):
    """One file's audio in blocks of half a second; `info` is what the headers say, and at the end what was found.

    1. It sends the order with the file and one end of a pipe and of a socket, and waits for the headers.
    2. It hands out blocks as they come through the pipe.
    3. At the end of the pipe it reads the verdict. A child that died without one tells by how it died.
    4. `close` makes the server kill a child that still works.
    """

    def __init__(
        self,
        reader: MediaReader,
        source: Source,
        expected_duration: float | None = None,
        *,
        only_headers: bool = False,
    ) -> None:
        self._reader, self._bounds = reader, reader.bounds
        self._words, theirs = socket.socketpair()
        self._pipe, writing = os.pipe()
        self._received = b""
        self._over = False
        try:
            with suppress(PermissionError):  # an account may have only so much memory in pipes
                fcntl(writing, F_SETPIPE_SZ, PIPE_BYTES)
            with ExitStack() as stack:
                stack.callback(theirs.close)
                stack.callback(os.close, writing)
                file = stack.enter_context(source.open("rb")) if isinstance(source, Path) else source
                order = {"expected": expected_duration, "only_headers": only_headers}
                reader.order([file.fileno(), writing, theirs.fileno()], **order)
            self.info = self._headers()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Reading":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> "Reading":
        return self

    def __next__(self) -> NDArray[np.int16]:
        if not self._over:
            if data := self._samples():
                return np.frombuffer(data, np.int16)
            self._over = True
            self.info = self._verdict()
        raise StopIteration

    def usage(self) -> Usage:
        """Return what the child took; waits until it has ended."""
        words: dict[str, Any] = {"more": True}
        while words and "ended" not in words:
            words = self._next_words()
        return Usage(words.get("seconds", 0.0), words.get("memory", 0))

    def close(self) -> None:
        """Give up what is still to come."""
        if self._pipe < 0:
            return
        self._over = True
        with suppress(OSError):  # closing would not do: processes forked meanwhile hold this end too
            self._words.shutdown(socket.SHUT_RDWR)
        self._words.close()
        os.close(self._pipe)
        self._pipe = -1

    def _samples(self) -> bytes:
        """Return the next block's bytes; none at the end."""
        data = bytearray()
        while len(data) < BLOCK * 2:
            piece = os.read(self._awaited(self._pipe), BLOCK * 2 - len(data))
            if not piece:
                break
            data += piece
        return bytes(data[: len(data) // 2 * 2])

    def _awaited(self, descriptor: int) -> int:
        """Return a descriptor once it can be read; a server that died before the order is replaced meanwhile."""
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        until = time.monotonic() + self._bounds.patience
        while not poll.poll(1000):
            if time.monotonic() >= until:
                raise UnreadableFileError(f"nothing of it was decoded for {self._bounds.patience:.0f} s")
            self._reader.keep_alive()
        return descriptor

    def _headers(self) -> AudioInfo:
        words = self._next_words()
        if "headers" not in words:
            raise self._error(words)
        return _info(words["headers"])

    def _verdict(self) -> AudioInfo:
        words = self._next_words()
        if "info" not in words:
            raise self._error(words)
        return _info(words["info"])

    def _next_words(self) -> dict[str, Any]:
        """Return the next line that the child or the server said; empty when both are gone."""
        while b"\n" not in self._received:
            piece = os.read(self._awaited(self._words.fileno()), WORDS_BYTES)
            if not piece or len(self._received) > WORDS_BYTES:
                return {}
            self._received += piece
        line, _, self._received = self._received.partition(b"\n")
        with suppress(ValueError):
            if isinstance(words := json.loads(line), dict):
                return words
        return {"ended": 1}

    def _error(self, words: dict[str, Any]) -> AudioError:
        """Return why there is no more: what the child said, or how it ended."""
        if "error" in words:
            kind = ERRORS.get(str(words["error"]), UnreadableFileError)
            return kind(str(words.get("message", ""))[:500])
        status = words.get("ended", -signal.SIGKILL)
        if status == -signal.SIGKILL:
            return DecoderKilledError("the process that decoded it was killed")
        if status == -signal.SIGXCPU:
            return UnreadableFileError("it takes too long to decode")
        return UnreadableFileError(f"the decoder crashed on it, with status {status}")


def _info(value: Any) -> AudioInfo:
    """Return what a child says of a file, which nobody vouches for."""
    try:
        return INFO.validate_python(value)
    except ValidationError as error:
        raise UnreadableFileError(f"the decoder says nonsense about it: {error.errors()[0]['msg']}") from None


def _has_ended(pid: int) -> bool:
    try:
        return pid == 0 or os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True
