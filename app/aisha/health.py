"""/health/live, /health/ready and /metrics of one process."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

Checks = dict[str, str]
"""What was checked, and `ok` or what is wrong with it."""


class HealthServer:
    """Answers over HTTP while the process lives; ready means that every check says `ok`."""

    def __init__(self, host: str, port: int, check: Callable[[], Awaitable[Checks]]) -> None:
        self._host, self._port, self._check = host, port, check
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen, unless the port is 0.

        Raises:
            OSError: the port is taken.
        """
        if not self._port:
            return
        app = web.Application()
        app.router.add_get("/health/live", self._live)
        app.router.add_get("/health/ready", self._ready)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()

    async def close(self) -> None:
        """Stop listening."""
        if self._runner:
            await self._runner.cleanup()

    async def _live(self, _: web.Request) -> web.Response:
        return web.json_response({"live": True})

    async def _ready(self, _: web.Request) -> web.Response:
        checks = await self._check()
        ready = all(state == "ok" for state in checks.values())
        body: dict[str, Any] = {"ready": ready, "checks": checks}
        return web.json_response(body, status=200 if ready else 503)

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
