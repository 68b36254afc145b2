"""Fetching what a Bot API server serves."""

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import pytest
import urllib3
from aiogram.exceptions import TelegramBadRequest
from aiogram.methods import GetFile

from aisha.errors import EmptyFileError, TooLargeError
from aisha.store import fetch as fetching
from aisha.store.fetch import (
    CHUNK_BYTES,
    HELD_BYTES,
    Download,
    Fetched,
    FetchInterruptedError,
    UnavailableError,
)

BOT: Any = SimpleNamespace()


class Passed:
    """What was passed on, and the largest piece of it."""

    def __init__(self) -> None:
        self.content = b""
        self.largest = 0

    def __call__(self, source: BinaryIO) -> None:
        while chunk := source.read(HELD_BYTES * 2):
            self.content += chunk
            self.largest = max(self.largest, len(chunk))


def fetch(
    path: str,
    limit: int,
    pass_on: Callable[[BinaryIO], None] | None = None,
    closing: threading.Event | None = None,
) -> Fetched:
    return fetching.fetch(BOT, path, limit, closing or threading.Event(), pass_on or Passed())


def on_disk(folder: Path, content: bytes) -> str:
    """Return the absolute path that a local server's getFile names."""
    (folder / "file").write_bytes(content)
    return str(folder / "file")


@pytest.mark.parametrize("size", [1, CHUNK_BYTES, CHUNK_BYTES + 1, HELD_BYTES])
def test_a_small_file_comes_whole_with_its_size_and_digest(size: int, tmp_path: Path) -> None:
    content = (bytes(range(256)) * (size // 256 + 1))[:size]
    passed = Passed()
    fetched = fetch(on_disk(tmp_path, content), size, passed)
    assert fetched == Fetched(size, hashlib.sha256(content).hexdigest(), content)
    assert passed.content == b""


@pytest.mark.parametrize("size", [HELD_BYTES + 1, 3 * HELD_BYTES + 5])
def test_a_large_file_is_passed_on_as_it_comes(size: int, tmp_path: Path) -> None:
    content = (bytes(range(251)) * (size // 251 + 1))[:size]
    passed = Passed()
    fetched = fetch(on_disk(tmp_path, content), size, passed)
    assert fetched == Fetched(size, hashlib.sha256(content).hexdigest(), None)
    assert passed.content == content


def test_a_file_of_no_bytes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmptyFileError):
        fetch(on_disk(tmp_path, b""), 10)


@pytest.mark.parametrize("limit", [10, HELD_BYTES + 10])
def test_a_file_of_one_byte_too_many_is_refused(limit: int, tmp_path: Path) -> None:
    with pytest.raises(TooLargeError):
        fetch(on_disk(tmp_path, bytes(limit + 1)), limit)


def test_a_fetch_ends_when_the_bot_does(tmp_path: Path) -> None:
    closing = threading.Event()
    closing.set()
    with pytest.raises(FetchInterruptedError):
        fetch(on_disk(tmp_path, bytes(10)), 10, closing=closing)


def test_a_connection_that_breaks_is_no_fault_of_the_storage() -> None:
    """Object storage is written through the same library, whose errors mean that storage cannot be reached."""

    class Breaking:
        def read(self, _: int) -> bytes:
            raise urllib3.exceptions.ProtocolError("broken")

    source: Any = Breaking()
    with pytest.raises(FetchInterruptedError):
        Download(source, 10, threading.Event()).read(1)


@pytest.mark.parametrize(
    ("said", "raised"),
    [
        ("Bad Request: wrong file_id or the file is temporarily unavailable", UnavailableError),
        ("Bad Request: file is too big", TooLargeError),
    ],
)
async def test_only_a_size_is_refused_for_good(said: str, raised: type[Exception]) -> None:
    async def get_file(_: str) -> None:
        raise TelegramBadRequest(GetFile(file_id="x"), said)

    bot: Any = SimpleNamespace(get_file=get_file)
    with pytest.raises(raised):
        await fetching.locate(bot, "x")
