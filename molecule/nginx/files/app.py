#!/usr/bin/python3
"""An app behind Nginx: `app.py green` listens on the socket of that slot, `app.py 9001` on that port of loopback, as does blue.

It answers with what it saw, as JSON. On 9002, POST requests are read and never answered. SIGTERM: it stops listening, answers
what has come, and ends.
"""

import asyncio
import json
import signal
import sys
from pathlib import Path

SLOT = sys.argv[1]
PORT = {"blue": 9004}.get(SLOT) or (int(SLOT) if SLOT.isdigit() else None)
MORTAL = SLOT == "9002"


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read one request and tell what it was."""
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
    if PORT:
        server = await asyncio.start_server(answer, "127.0.0.1", PORT)
    else:
        path = Path(f"/run/test-app/{SLOT}/http.sock")
        path.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(answer, path)
        path.chmod(0o666)
    await ended.wait()
    server.close()
    while len(asyncio.all_tasks()) > 1:
        await asyncio.sleep(0.1)


asyncio.run(main())
