"""The sandbox as one server on the loopback interface."""

import asyncio
import contextlib
import os
import re
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aiohttp import web

from aisha.errors import ServiceError, SettingsError
from aisha_sandbox import api, control, pages
from aisha_sandbox.answers import ApiError
from aisha_sandbox.core import CORE, Core
from aisha_sandbox.files import CLOUD_FILE_LIMIT
from aisha_sandbox.guard import guard, harden

HOST = "127.0.0.1"
TOKEN = re.compile(r"\d{3,20}:[A-Za-z0-9_-]{20,}")
PORTS_TRIED = 100
REQUEST_LIMIT = 2100 * 1024 * 1024
STOP_SECONDS = 1.0


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox: the address and token for a bot, and the parts behind them."""

    url: str
    token: str
    core: Core

    @staticmethod
    @asynccontextmanager
    async def open(
        data_dir: Path,
        port: int = 0,
        token: str | None = None,
        file_limit: int = CLOUD_FILE_LIMIT,
        *,
        strict_port: bool = False,
        bot_api_address: str | None = None,
    ) -> AsyncIterator["Sandbox"]:
        """Serve until the block ends.

        `file_limit` is getFile's, in bytes; 0 behaves as a Bot API server with `--local`. Port 0 is any.
        With `bot_api_address` the Bot API, and nothing else, is served on that address too, for bots on other machines.

        Raises:
            ServiceError: no port is free.
            SettingsError: the token is malformed.
        """
        core = Core(data_dir, token or kept_token(data_dir), file_limit)
        runner = web.AppRunner(application(core), access_log=None, shutdown_timeout=STOP_SECONDS)
        await runner.setup()
        deliveries = asyncio.create_task(core.webhook.run(partial(api.webhook_reply, core)))
        try:
            listener = listen(port, strict=strict_port)
            await web.SockSite(runner, listener).start()
            if bot_api_address:
                await web.SockSite(
                    runner, listen(listener.getsockname()[1], strict=True, host=bot_api_address)
                ).start()
            yield Sandbox(f"http://{HOST}:{listener.getsockname()[1]}", core.token, core)
        finally:
            deliveries.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await deliveries
            core.stopping.set()
            core.updates.interrupt(ApiError(502, "Bad Gateway"))
            await runner.cleanup()
            core.state.close()


def application(core: Core) -> web.Application:
    """Return the web application: Bot API, control API and web chat behind one guard."""
    app = web.Application(middlewares=[guard], client_max_size=REQUEST_LIMIT)
    app[CORE] = core
    app.on_response_prepare.append(harden)
    app.add_routes([*api.routes(), *control.routes(), *pages.routes()])
    return app


def listen(port: int, *, strict: bool, host: str = HOST) -> socket.socket:
    """Return a listening socket on this port, or on the next free one unless `strict`."""
    last = port if strict or not port else min(port + PORTS_TRIED, 65535)
    for candidate in range(port, last + 1):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, candidate))
            listener.listen(128)
        except OSError:
            listener.close()
            continue
        return listener
    raise ServiceError(f"port {port} of {host} cannot be used: choose another with --port or AISHA_WEB_PORT")


def kept_token(data_dir: Path) -> str:
    """Return the token of AISHA_SANDBOX_TOKEN, or the one that was made at the first start.

    Raises:
        SettingsError: the variable does not look like a bot token.
    """
    if given := os.environ.get("AISHA_SANDBOX_TOKEN"):
        if not TOKEN.fullmatch(given):
            raise SettingsError(
                "AISHA_SANDBOX_TOKEN: must look like 123456:AbC..., as tokens of @BotFather do"
            )
        return given
    file = data_dir / "token"
    if file.exists():
        return file.read_text().strip()
    data_dir.mkdir(parents=True, exist_ok=True)
    token = f"{secrets.randbelow(9 * 10**9) + 10**9}:{secrets.token_urlsafe(26)[:35]}"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(token)
    return token
