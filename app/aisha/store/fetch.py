"""Fetches a file from the Bot API server into a spool, counting and hashing it on the way."""

import hashlib
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import urllib3
from aiogram import Bot
from aiogram.exceptions import TelegramBadRequest, TelegramNotFound

from aisha.errors import EmptyFileError, FileGoneError, TooLargeError

CHUNK_BYTES = 1024 * 1024
SPOOL_BYTES = 4 * 1024 * 1024
"""A file up to this size stays in memory; a larger one goes through a temporary file."""
http = urllib3.PoolManager(
    maxsize=16, timeout=urllib3.Timeout(connect=10, read=60), retries=urllib3.Retry(total=0)
)


class FetchInterruptedError(Exception):
    """The file did not arrive whole; it can be tried again."""


@dataclass
class Fetched:
    """A whole file, rewound: `size` in bytes and the SHA-256 of its content in hexadecimal."""

    spool: BinaryIO
    size: int
    sha256: str

    def __enter__(self) -> "Fetched":
        return self

    def __exit__(self, *_: object) -> None:
        self.spool.close()


async def locate(bot: Bot, file_id: str) -> str:
    """Return where the file is: a path below the server's file address, or absolute on a local server's disk.

    Raises:
        TooLargeError, FileGoneError: as the server says; the cloud's getFile stops at 20 MiB.
    """
    try:
        file = await bot.get_file(file_id)
    except (TelegramBadRequest, TelegramNotFound) as error:
        if "too big" in error.message:
            raise TooLargeError(error.message) from None
        raise FileGoneError(error.message) from None
    if not file.file_path:
        raise FileGoneError("getFile gave no path")
    return file.file_path


def fetch(bot: Bot, path: str, limit: int, folder: Path, closing: threading.Event) -> Fetched:
    """Copy the file into a spool in `folder` or memory; blocks, but stops once `closing` is set.

    Raises:
        EmptyFileError: it has no bytes.
        TooLargeError: it has more than `limit` bytes.
        FileGoneError: the server no longer has it.
        FetchInterruptedError: the connection broke, or ended before the whole file had arrived.
    """
    folder.mkdir(parents=True, exist_ok=True)
    spool = tempfile.SpooledTemporaryFile(SPOOL_BYTES, dir=str(folder))  # noqa: SIM115 - closed by Fetched
    try:
        return _copy(_open(bot, path), cast("BinaryIO", spool), limit, closing)
    except (urllib3.exceptions.HTTPError, ConnectionError) as error:
        spool.close()
        raise FetchInterruptedError(type(error).__name__) from None
    except BaseException:
        spool.close()
        raise


def _open(bot: Bot, path: str) -> Any:
    if path.startswith("/") and Path(path).is_file():
        return Path(path).open("rb")
    response = http.request("GET", bot.session.api.file_url(bot.token, path), preload_content=False)
    if response.status in (400, 404, 410):
        raise FileGoneError(f"HTTP {response.status}")
    if response.status != 200:
        raise FetchInterruptedError(f"HTTP {response.status}")
    return response


def _copy(source: BinaryIO, spool: BinaryIO, limit: int, closing: threading.Event) -> Fetched:
    digest, size = hashlib.sha256(), 0
    with source:
        while chunk := source.read(CHUNK_BYTES):
            size += len(chunk)
            if closing.is_set():
                raise FetchInterruptedError("the bot is stopping")
            if size > limit:
                raise TooLargeError(f"more than {limit} bytes")
            digest.update(chunk)
            spool.write(chunk)
    if not size:
        raise EmptyFileError("zero bytes")
    spool.seek(0)
    return Fetched(spool, size, digest.hexdigest())
