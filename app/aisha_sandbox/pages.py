"""The web chat: its static files, the files within messages, and live events."""

import asyncio
import contextlib
from pathlib import Path

from aiohttp import web

from aisha_sandbox.core import CORE
from aisha_sandbox.state import Json, dumps

FOLDER = Path(__file__).parent / "web"
HEARTBEAT_SECONDS = 15
SHOWN = ("audio/", "video/", "image/jpeg", "image/png", "image/webp", "image/gif")


def routes() -> list[web.AbstractRouteDef]:
    """Return the web chat's addresses."""
    return [
        web.get("/", index),
        web.get("/sandbox/events", events),
        web.get("/sandbox/files/{file_id}", file),
        web.static("/web", FOLDER),
    ]


async def index(request: web.Request) -> web.StreamResponse:
    """Serve the page."""
    return web.FileResponse(FOLDER / "index.html", headers={"Cache-Control": "no-cache"})


async def file(request: web.Request) -> web.StreamResponse:
    """Serve a message's file: players in place, everything else as a download."""
    found = request.app[CORE].files.opened(request.match_info["file_id"])
    if found is None:
        raise web.HTTPNotFound
    path, media = found
    mime = media.get("mime_type") or ("image/jpeg" if "width" in media else "video/mp4")
    shown = mime.startswith(SHOWN) and "\n" not in mime and "\r" not in mime
    headers = {"Content-Type": mime if shown else "application/octet-stream"}
    headers["Content-Security-Policy"] = "sandbox; default-src 'none'; media-src 'self'"
    if not shown:
        headers["Content-Disposition"] = "attachment"
    return web.FileResponse(path, headers=headers)


async def events(request: web.Request) -> web.StreamResponse:
    """Stream events to a page; it asks for the present state whenever it connects again."""
    hub = request.app[CORE].hub
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    queue: asyncio.Queue[Json] = asyncio.Queue()
    hub.pages.add(queue)
    try:
        await response.write(b'retry: 1000\ndata: {"type":"hello"}\n\n')
        while True:
            await response.write(await _next(queue))
    except (ConnectionError, asyncio.CancelledError):
        with contextlib.suppress(ConnectionError):
            await response.write_eof()
        return response
    finally:
        hub.pages.discard(queue)


async def _next(queue: asyncio.Queue[Json]) -> bytes:
    try:
        event = await asyncio.wait_for(queue.get(), HEARTBEAT_SECONDS)
    except TimeoutError:
        return b": still here\n\n"
    return f"data: {dumps(event)}\n\n".encode()
