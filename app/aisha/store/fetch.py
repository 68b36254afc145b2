"""Fetches a file from the Bot API server, counting and hashing it on the way, in bounded memory and without a disk."""

import hashlib
import io
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import urllib3
from aiogram import Bot
from aiogram.exceptions import TelegramBadRequest, TelegramNotFound

from aisha.errors import EmptyFileError, TooLargeError

CHUNK_BYTES = 1024 * 1024
HELD_BYTES = 4 * 1024 * 1024
"""A file up to this size is held in memory; of a larger one, what has arrived is passed on."""

http = urllib3.PoolManager(
    maxsize=16, timeout=urllib3.Timeout(connect=10, read=60), retries=urllib3.Retry(total=0)
)


class FetchInterruptedError(Exception):
    """The file did not arrive whole; it can be tried again."""


class UnavailableError(Exception):
    """The server does not have the file; it says the same when it will have it again in a moment."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole file: `size` in bytes, the SHA-256 of its content in hexadecimal, and the content unless passed on."""

    size: int
    sha256: str
    content: bytes | None


async def locate(bot: Bot, file_id: str) -> str:
    """Return where the file is: a path below the server's file address, or absolute on a local server's disk.

    Raises:
        TooLargeError: the cloud's getFile stops at 20 MiB.
        UnavailableError: "wrong file_id or the file is temporarily unavailable", as the server says.
    """
    try:
        file = await bot.get_file(file_id)
    except (TelegramBadRequest, TelegramNotFound) as error:
        if "too big" in error.message:
            raise TooLargeError(error.message) from None
        raise UnavailableError(error.message) from None
    if not file.file_path:
        raise UnavailableError("getFile gave no path")
    return file.file_path


def fetch(
    bot: Bot, path: str, limit: int, closing: threading.Event, pass_on: Callable[[BinaryIO], None]
) -> Fetched:
    """Fetch the file; one of more than 4 MiB is given to `pass_on`, which reads it to its end as it arrives.

    It blocks, but stops once `closing` is set.

    Raises:
        EmptyFileError: it has no bytes.
        TooLargeError: it has more than `limit` bytes.
        UnavailableError: the server does not have it.
        FetchInterruptedError: the connection broke, or ended before the whole file had arrived.
    """
    with _open(bot, path) as source:
        download = Download(source, limit, closing)
        content = download.whole(HELD_BYTES)
        if content is None:
            pass_on(cast("BinaryIO", download))
    if not download.size:
        raise EmptyFileError("zero bytes")
    return Fetched(download.size, download.digest.hexdigest(), content)


def _open(bot: Bot, path: str) -> Any:
    if path.startswith("/") and Path(path).is_file():
        return Path(path).open("rb")
    try:
        response = http.request("GET", bot.session.api.file_url(bot.token, path), preload_content=False)
    except urllib3.exceptions.HTTPError as error:
        raise FetchInterruptedError(type(error).__name__) from None
    if response.status in (400, 404, 410):
        raise UnavailableError(f"HTTP {response.status}")
    if response.status != 200:
        raise FetchInterruptedError(f"HTTP {response.status}")
    return response


class Download:
    """A file that arrives; counts and hashes what comes."""

    def __init__(self, source: BinaryIO, limit: int, closing: threading.Event) -> None:
        self._source, self._limit, self._closing = source, limit, closing
        self._beginning = io.BytesIO()
        self.digest = hashlib.sha256()
        self.size = 0

    def whole(self, most: int) -> bytes | None:
        """Return the content if it is `most` bytes or fewer; else None, and `read` begins at the beginning."""
        content = bytearray()
        while len(content) <= most and (chunk := self._arriving(CHUNK_BYTES)):
            content += chunk
        if len(content) <= most:
            return bytes(content)
        self._beginning = io.BytesIO(content)
        return None

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes, none at the end."""
        return self._beginning.read(size) or self._arriving(size)

    def _arriving(self, size: int) -> bytes:
        if self._closing.is_set():
            raise FetchInterruptedError("the bot is stopping")
        try:
            chunk = self._source.read(size)
        except (urllib3.exceptions.HTTPError, ConnectionError) as error:
            raise FetchInterruptedError(type(error).__name__) from None
        self.size += len(chunk)
        if self.size > self._limit:
            raise TooLargeError(f"more than {self._limit} bytes")
        self.digest.update(chunk)
        return chunk
