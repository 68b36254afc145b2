"""What the child that parses one file does: samples go into a pipe, and what is known about them into a socket."""

import json
import os
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

from aisha.errors import AudioError, UnreadableFileError
from aisha.forking import die_with_parent
from aisha.speech.audio import Blocks
from aisha.speech.media import confine


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted of one file; `expected` seconds by its sender, at most `memory` bytes and processor `seconds`."""

    expected: float | None
    only_headers: bool
    memory: int
    seconds: int


def run(order: Order, source: int, samples: int, words: int) -> None:
    """Confine this process and carry out the order; `source`, `samples` and `words` are its only descriptors."""
    die_with_parent()
    confine.keep_only({source, samples, words})
    with os.fdopen(source, "rb") as file:
        confine.limit(order.memory, order.seconds)
        confine.forbid()
        decode(order, file, samples, words)


def decode(order: Order, file: BinaryIO, samples: int, words: int) -> None:
    """Write what the headers say, the samples, and how it ended; stop when nobody listens."""
    try:
        with Blocks(file, order.expected) as audio:
            _say(words, headers=asdict(audio.info))
            if order.only_headers:
                return
            for block in audio:
                _write(samples, block.tobytes())
            _say(words, info=asdict(audio.info))
    except BrokenPipeError:
        return
    except AudioError as error:
        _say(words, error=type(error).__name__, message=str(error))
    except MemoryError:
        _fail(words, f"it takes more than {order.memory >> 20} MiB of memory to read")
    except Exception as error:  # whatever a stranger's file makes a library raise, it is the file's end
        _fail(words, f"it cannot be decoded: {type(error).__name__}: {error}")


def _fail(words: int, message: str) -> None:
    _say(words, error=UnreadableFileError.__name__, message=message)


def _say(words: int, **values: Any) -> None:
    _write(words, json.dumps(values).encode() + b"\n")


def _write(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
