"""A webhook's receiving end, on loopback, in plain HTTP or over TLS."""

import asyncio
import ssl
import time
from collections.abc import Callable

from aiohttp import web


class Receiver:
    """A webhook that fails `failures` times, then answers with `reply`."""

    def __init__(
        self,
        failures: int = 0,
        reply: dict | None = None,
        retry_after: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.tls, self.hosts = tls, []
        self.failures, self.reply, self.seen, self.times = failures, reply, [], []
        self.headers = {"Retry-After": str(retry_after)} if retry_after else None

    async def receive(self, request: web.Request) -> web.Response:
        update = await request.json()
        self.seen.append((request.headers.get("X-Telegram-Bot-Api-Secret-Token"), update))
        self.hosts.append(request.host)
        self.times.append(time.monotonic())
        if len(self.seen) <= self.failures:
            return web.Response(status=500, headers=self.headers)
        return web.json_response(self.reply) if self.reply else web.Response()

    async def __aenter__(self) -> str:
        app = web.Application()
        app.router.add_post("/hook", self.receive)
        self.runner = web.AppRunner(app)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0, ssl_context=self.tls)
        await site.start()
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.runner.addresses[0][1]}/hook"

    async def __aexit__(self, *_: object) -> None:
        await self.runner.cleanup()


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
