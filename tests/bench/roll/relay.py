"""A relay to the server that adds latency, as a real network does: losses in flight show only with it.

`python -m tests.bench.roll.relay HOST PORT --delay 0.05` prints its port on loopback, and ends with its stdin.
It is a process of its own, so that relay and load do not delay each other.
"""

import argparse
import asyncio
import sys

import uvloop

BACKLOG = 1000


class Relay:
    """Listens on loopback, and passes everything on to an address, each way `delay` seconds later."""

    def __init__(self, host: str, port: int, delay: float) -> None:
        self.host, self.port, self.delay = host, port, delay
        self.passing: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        """Start, and return the port."""
        server = await asyncio.start_server(self.accept, "127.0.0.1", 0, backlog=BACKLOG)
        return int(server.sockets[0].getsockname()[1])

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection."""
        task = asyncio.create_task(self.pass_on(reader, writer))
        self.passing.add(task)
        task.add_done_callback(self.passing.discard)

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Relay one connection both ways; opening it takes a round trip, too."""
        await asyncio.sleep(2 * self.delay)
        try:
            far_reader, far_writer = await asyncio.open_connection(self.host, self.port)
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(self.one_way(reader, far_writer), self.one_way(far_reader, writer))

    async def one_way(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what arrives, in order and each piece delayed, up to and including the end."""
        loop, open_end = asyncio.get_running_loop(), True
        while open_end:
            try:
                piece = await reader.read(65536)
            except OSError:
                piece = b""
            open_end = bool(piece)
            loop.call_later(self.delay, self.put, writer, piece)

    def put(self, writer: asyncio.StreamWriter, piece: bytes) -> None:
        """Write a piece, or close."""
        if writer.is_closing():
            return
        if piece:
            writer.write(piece)
        else:
            writer.close()


async def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--delay", type=float, default=0.05, help="of each way, in seconds")
    options = parser.parse_args()
    print(await Relay(options.host, options.port, options.delay).start(), flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(main())
