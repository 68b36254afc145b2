#!/usr/bin/python3
"""An app behind Nginx: `app.py blue` listens on the socket of the slot blue, `app.py 9001` on that port of loopback.

It answers with what it saw, as JSON. On 9002, POST requests are read and never answered. SIGTERM: it answers what still
comes until nothing has come for a while, and ends.
"""

import asyncio
import json
import signal
import sys
import time
from pathlib import Path

SLOT = sys.argv[1]
MORTAL = SLOT == "9002"
QUIET_SECONDS = 0.5
last = 0.0


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read one request and tell what it was."""
    global last
    last = time.monotonic()
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    except asyncio.IncompleteReadError:
        writer.close()
        return
    method, path, _ = head[0].split()
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    if not (MORTAL and method == "POST"):
        seen = json.dumps(
            {"slot": SLOT, "method": method, "path": path, "headers": headers, "body": len(body)}
        ).encode()
        extra = "Server: app/1.0\r\nX-Powered-By: app\r\nX-Frame-Options: ALLOWALL\r\nContent-Type: application/json"
        writer.write(f"HTTP/1.1 200 OK\r\n{extra}\r\nContent-Length: {len(seen)}\r\n\r\n".encode() + seen)
        await writer.drain()
    writer.close()


async def main() -> None:
    """Listen until SIGTERM, then finish."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    if SLOT.isdigit():
        server = await asyncio.start_server(answer, "127.0.0.1", int(SLOT))
    else:
        path = Path(f"/run/aisha/bot/{SLOT}/http.sock")
        path.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(answer, path)
        path.chmod(0o666)
    await ended.wait()
    while time.monotonic() - last < QUIET_SECONDS or len(asyncio.all_tasks()) > 1:
        await asyncio.sleep(0.1)
    server.close()


asyncio.run(main())
