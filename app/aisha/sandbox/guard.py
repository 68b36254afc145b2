"""Keeps other sites' pages out: Host is checked against DNS rebinding, Origin against forged requests."""

from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
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


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse requests that name another host, or that another site's page makes."""
    if not _local(f"//{request.host}"):
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
