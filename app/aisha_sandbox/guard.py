"""Keeps other sites' pages out: Host is checked against DNS rebinding, Origin against forged requests.

What other machines may reach is the Bot API alone: its methods and files, which ask for the bot's token.
"""

from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
BOT_API = ("/bot", "/file/bot")
SAFE = {"GET", "HEAD", "OPTIONS"}
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)


def _local(address: str) -> bool:
    try:
        return urlsplit(address).hostname in LOOPBACK
    except ValueError:
        return False


def _own_address(request: web.Request) -> str:
    """Return the address of this server that the request came to."""
    name = request.transport.get_extra_info("sockname") if request.transport else None
    return str(name[0]) if name else "127.0.0.1"


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse requests that name another host, or that come from another site's page."""
    own = _own_address(request)
    if own not in LOOPBACK and not request.path.startswith(BOT_API):
        raise web.HTTPForbidden(text="only the Bot API is served to other machines\n")
    if not _local(f"//{request.host}") and urlsplit(f"//{request.host}").hostname != own:
        raise web.HTTPForbidden(text="Host header must name this machine\n")
    origin = request.headers.get("Origin")
    foreign = origin is not None and origin != f"{request.scheme}://{request.host}"
    if request.headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"}:
        foreign = foreign or request.method not in SAFE
    if foreign and (request.method not in SAFE or request.path.startswith(("/bot", "/sandbox/"))):
        raise web.HTTPForbidden(text="Origin must be this server\n")
    return await handler(request)


async def harden(request: web.Request, response: web.StreamResponse) -> None:
    """Let pages load nothing from elsewhere, and be framed by nobody."""
    response.headers.setdefault("Content-Security-Policy", POLICY)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
