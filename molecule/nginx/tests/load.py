"""Send requests to a site as clients far away do, and count those that got no answer.

1. A relay in this process adds 50 ms each way: losses in flight show only with latency.
2. The load is open-loop: requests leave at their times, whether or not earlier ones have been answered.
3. Half of them open a new connection, half use a kept-alive one; half GET, half POST. There are no retries.

`python load.py HOST PORT NAME --rate 100 --seconds 15` prints JSON; PYTHONPATH is the repository.
"""

import argparse
import asyncio
import collections
import hashlib
import json
import ssl
import time

from tests.bench.roll.relay import Relay

TIMEOUT_SECONDS = 30
BODY = b"x" * 2000

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Load:
    """Requests at a steady rate, and what became of them."""

    def __init__(self, port: int, name: str, path: str) -> None:
        self.port, self.name, self.path = port, name, path
        self.context = ssl.create_default_context()
        self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE
        self.kept: list[Connection] = []
        self.failed: collections.Counter = collections.Counter()
        self.slots: collections.Counter = collections.Counter()
        self.certificates: collections.Counter = collections.Counter()

    async def run(self, rate: float, seconds: float) -> dict:
        """Send them all, wait for the last answer, and return the figures."""
        began, requests = time.monotonic(), []
        for number in range(round(rate * seconds)):
            await asyncio.sleep(max(0, began + number / rate - time.monotonic()))
            requests.append(
                asyncio.create_task(self.counted(keep=number % 2 == 0, post=number // 2 % 2 == 0))
            )
        await asyncio.gather(*requests)
        took = time.monotonic() - began
        return {
            "sent": len(requests),
            "failed": self.failed.total(),
            "why": dict(self.failed),
            "slots": dict(self.slots),
            "certificates": dict(self.certificates),
            "seconds": round(took, 1),
        }

    async def counted(self, *, keep: bool, post: bool) -> None:
        """Make one request and count how it ended."""
        try:
            status, slot = await asyncio.wait_for(self.request(keep=keep, post=post), TIMEOUT_SECONDS)
        except (OSError, EOFError, TimeoutError, ssl.SSLError) as error:
            self.failed[f"{'kept' if keep else 'new'}: {error!r}"] += 1
            return
        if status == 200:
            self.slots[slot] += 1
        else:
            self.failed[f"status {status}"] += 1

    async def request(self, *, keep: bool, post: bool) -> tuple[int, str]:
        """Make one request and return its status and the slot that answered."""
        reader, writer = self.kept.pop() if keep and self.kept else await self.connect()
        head = f"{'POST' if post else 'GET'} {self.path} HTTP/1.1\r\nHost: {self.name}\r\n"
        head += "" if keep else "Connection: close\r\n"
        head += f"Content-Length: {len(BODY)}\r\n" if post else ""
        writer.write(head.encode() + b"\r\n" + (BODY if post else b""))
        answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(answer.split("content-length: ")[1].split("\r\n")[0])
        body = await reader.readexactly(length)
        status = int(answer.split()[1])
        if keep and "connection: close" not in answer:
            self.kept.append((reader, writer))
        else:
            writer.transport.abort()
        return status, json.loads(body)["slot"] if status == 200 else ""

    async def connect(self) -> Connection:
        """Open a connection, and note the certificate that was shown."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            self.port,
            ssl=self.context,
            server_hostname=self.name,
            ssl_handshake_timeout=TIMEOUT_SECONDS,
        )
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        self.certificates[hashlib.sha256(shown).hexdigest()[:12]] += 1
        return reader, writer


async def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("name")
    parser.add_argument("--path", default="/")
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--delay", type=float, default=0.05, help="of each way, in seconds")
    options = parser.parse_args()
    port = await Relay(options.host, options.port, options.delay).start()
    print(json.dumps(await Load(port, options.name, options.path).run(options.rate, options.seconds)))


if __name__ == "__main__":
    asyncio.run(main())
