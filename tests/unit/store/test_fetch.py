"""Copying what a Bot API server serves."""

import hashlib
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aisha.errors import EmptyFileError, TooLargeError
from aisha.store import fetch as fetching
from aisha.store.fetch import CHUNK_BYTES, SPOOL_BYTES, Fetched, FetchInterruptedError

BOT: Any = SimpleNamespace()


def fetch(path: str, limit: int, folder: Path, closing: threading.Event | None = None) -> Fetched:
    return fetching.fetch(BOT, path, limit, folder, closing or threading.Event())


def on_disk(folder: Path, content: bytes) -> str:
    """Return the absolute path that a local server's getFile names."""
    (folder / "file").write_bytes(content)
    return str(folder / "file")


@pytest.mark.parametrize("size", [1, CHUNK_BYTES, CHUNK_BYTES + 1, SPOOL_BYTES + 1])
def test_a_file_comes_whole_with_its_size_and_digest(size: int, tmp_path: Path) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    content = content[:size]
    with fetch(on_disk(tmp_path, content), size, tmp_path / "spool") as fetched:
        assert fetched.spool.read() == content
        assert (fetched.size, fetched.sha256) == (size, hashlib.sha256(content).hexdigest())


def test_a_file_of_no_bytes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmptyFileError):
        fetch(on_disk(tmp_path, b""), 10, tmp_path / "spool")


def test_a_file_of_one_byte_too_many_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TooLargeError):
        fetch(on_disk(tmp_path, bytes(11)), 10, tmp_path / "spool")


def test_a_spool_leaves_no_file_behind(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    with fetch(on_disk(tmp_path, bytes(SPOOL_BYTES + 1)), SPOOL_BYTES + 1, spool):
        pass
    with pytest.raises(TooLargeError):
        fetch(on_disk(tmp_path, bytes(SPOOL_BYTES + 2)), SPOOL_BYTES + 1, spool)
    assert list(spool.iterdir()) == []


def test_a_fetch_ends_when_the_bot_does(tmp_path: Path) -> None:
    closing = threading.Event()
    closing.set()
    with pytest.raises(FetchInterruptedError):
        fetch(on_disk(tmp_path, bytes(10)), 10, tmp_path / "spool", closing)
