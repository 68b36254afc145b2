"""A server on loopback, as a test wants it to behave, over TLS with a certificate of its own CA."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.roll.client import Target
from tests.integration.tls.terminator import Authority

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
Behave = Callable[["Request"], Awaitable[bytes]]


@dataclass(frozen=True)
class Request:
    """One request: which of its connection, and of all; the body, and what can be told of the head."""

    of_connection: int
    of_all: int
    body: bytes
    closes: bool
    secret: str


@dataclass
class Server:
    """What a test asks about a server."""

    target: Target
    connections: int = 0
    requests: list[Request] = field(default_factory=list)


async def take(request: Request) -> bytes:
    """Acknowledge."""
    return OK


@asynccontextmanager
async def serving(folder: Path, behave: Behave = take) -> AsyncIterator[Server]:
    """Serve; what `behave` returns is the answer, and nothing aborts the connection."""
    authority = Authority(folder)
    tasks = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.ensure_future(_converse(server, behave, reader, writer)))

    listener = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=authority.server, backlog=1000)
    port = listener.sockets[0].getsockname()[1]
    target = Target("https://127.0.0.1/webhook", "127.0.0.1", port, str(authority.file), "a-secret")
    server = Server(target)
    try:
        yield server
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _converse(
    server: Server, behave: Behave, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    server.connections += 1
    number = 0
    while request := await _read(reader, number, server):
        server.requests.append(request)
        answer = await behave(request)
        if not answer:
            break
        writer.write(answer)
        number += 1
    writer.transport.abort()


async def _read(reader: asyncio.StreamReader, of_connection: int, server: Server) -> Request | None:
    """Return the connection's next request; None when it has ended."""
    try:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        head = dict(line.split(": ", 1) for line in lines[1:] if line)
        body = await reader.readexactly(int(head["Content-Length"]))
    except (asyncio.IncompleteReadError, OSError, ssl.SSLError):
        return None
    closes, secret = head.get("Connection") == "close", head["X-Telegram-Bot-Api-Secret-Token"]
    return Request(of_connection, len(server.requests), body, closes, secret)
