"""Posting over TLS, on a connection of its own or on a kept one. Nothing is ever sent twice unnoticed."""

import asyncio
import re
import ssl
from dataclasses import dataclass
from typing import NamedTuple, cast
from urllib.parse import urlsplit

ANSWER_SECONDS = 30
"""Timeout of a request, including opening its connection."""

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n")
RETRY_AFTER = re.compile(rb"\r\nretry-after: *(\d+)\r\n")


class PostError(Exception):
    """There was no answer; says why."""


class Answer(NamedTuple):
    """What is told of an answer: its status, and the seconds that it asks to wait before the next attempt."""

    status: int
    retry_after: int


@dataclass(frozen=True)
class Target:
    """The URL for updates, the host and port to connect to, and the credentials."""

    url: str
    host: str
    port: int
    ca: str
    """The file of the CA of the server's certificate."""

    secret: str

    @property
    def name(self) -> str:
        """The name that the server's certificate must be for."""
        return urlsplit(self.url).hostname or ""

    @property
    def head(self) -> str:
        """What every request begins with."""
        return (
            f"POST {urlsplit(self.url).path or '/'} HTTP/1.1\r\nHost: {self.name}\r\n"
            f"Content-Type: application/json\r\nX-Telegram-Bot-Api-Secret-Token: {self.secret}\r\n"
        )


class Connection(asyncio.Protocol):
    """A connection with at most one request under way."""

    def __init__(self) -> None:
        self.used = False
        self._transport: asyncio.Transport
        self._received = b""
        self._waiting: asyncio.Future[Answer] | None = None

    @property
    def usable(self) -> bool:
        """Whether it is not known to be closed."""
        return not self._transport.is_closing()

    async def ask(self, request: bytes) -> Answer:
        """Send a request and return its answer.

        Raises:
            PostError: the connection ended before there was one.
        """
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._waiting
        finally:
            self.used = True

    def abort(self) -> None:
        """End it at once."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be open."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take a piece of an answer."""
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        head = head.lower() + b"\r\n"
        length = LENGTH.search(head)
        if not length:
            self._fail("an answer without a length")
        elif len(body) >= int(length[1]):
            self._answer(head)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what waits for an answer."""
        self._fail(type(exc).__name__ if exc else "connection closed")

    def _answer(self, head: bytes) -> None:
        self._received = b""
        pause = RETRY_AFTER.search(head)
        if b"\r\nconnection: close\r\n" in head:
            self._transport.close()
        if self._waiting and not self._waiting.done():
            self._waiting.set_result(Answer(int(head[9:12]), int(pause[1]) if pause else 0))

    def _fail(self, reason: str) -> None:
        if self._waiting and not self._waiting.done():
            self._waiting.set_exception(PostError(f"{reason}{', reused' if self.used else ''}"))


class Client:
    """Posts along one route: to the target itself, or to a relay in front of it.

    A kept connection that is known to have been closed while nothing was under way is not used, as with any client. One
    that ends under a request fails it.
    """

    def __init__(self, target: Target, host: str, port: int) -> None:
        self._target, self._address = target, (host, port)
        self._context = ssl.create_default_context(cafile=target.ca)
        self._kept: list[Connection] = []

    async def post(self, body: bytes, *, keep: bool) -> Answer:
        """Post once.

        Raises:
            PostError: there was no answer.
        """
        close = "" if keep else "Connection: close\r\n"
        request = f"{self._target.head}{close}Content-Length: {len(body)}\r\n\r\n".encode() + body
        connection = self._kept_one() if keep else None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                connection = connection or await self._connect()
                answer = await connection.ask(request)
        except TimeoutError:
            if connection:
                connection.abort()
            raise PostError(f"{'no answer' if connection else 'no connection'} in time") from None
        if keep and connection.usable:
            self._kept.append(connection)
        else:
            connection.abort()
        return answer

    def _kept_one(self) -> Connection | None:
        """Return the kept connection that was used last; the others may reach the server's limit and be closed."""
        while self._kept:
            if (connection := self._kept.pop()).usable:
                return connection
        return None

    async def _connect(self) -> Connection:
        loop, (host, port) = asyncio.get_running_loop(), self._address
        try:
            _, connection = await loop.create_connection(
                Connection, host, port, ssl=self._context, server_hostname=self._target.name
            )
        except OSError as error:  # an ssl.SSLError is one too
            raise PostError(f"{type(error).__name__} while connecting") from None
        return connection
