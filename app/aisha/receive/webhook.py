"""The webhook: Telegram posts updates, and each is in the inbox before it is acknowledged.

How Telegram reacts to an answer (`WebhookActor.cpp` of its Bot API server): after 2xx it forgets the update; after
anything else it posts it again, at once and then with growing pauses of up to two minutes, or after `Retry-After`
seconds, until the update is a day old; meanwhile later updates of the same chat wait. No status makes it drop an
update. So every update is accepted, however odd, and only what cannot come from Telegram is refused.
"""

import asyncio
import contextlib
import hmac
import json
import socket
from typing import Any

import psycopg
import structlog
from aiohttp import web

from aisha import metrics
from aisha.database.connect import LOST, Pool, Wakeups
from aisha.errors import ServiceError
from aisha.receive.group_commit import GroupCommit
from aisha.settings import Settings

log = structlog.get_logger(__name__)

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - a header's name
BODY_BYTES = 1024 * 1024
BACKLOG = 1024
LINGER_SECONDS = 0.3
FINISH_SECONDS = 10
RETRY_AFTER = {"Retry-After": "1"}
"""Seconds. Without it Telegram doubles its pause with every failure, so a short outage would delay updates for long."""


class Webhook:
    """Takes updates over HTTP, at the path of AISHA_WEBHOOK_URL.

    1. It listens from `start` on, which is called once updates can be committed.
    2. A post without Telegram's secret is answered 401, unread; one that is not an update 400; one that the database
       does not take 503, so that it is repeated.
    3. `drain` accepts the connections that already wait at the port and closes it, answers open requests with
       `Connection: close`, gives kept-alive connections a moment for one more request, and ends.
    """

    def __init__(self, settings: Settings, pool: Pool, wakeups: Wakeups) -> None:
        assert settings.webhook_url
        self._settings = settings
        self._secret = settings.secret("webhook_secret").encode()
        self._path = settings.webhook_url.path or "/"
        self._group = GroupCommit(pool)
        self._wakeups = wakeups
        self._listener: socket.socket | None = None
        self._site: web.SockSite | None = None
        self._runner: web.AppRunner | None = None
        self._draining = False

    @property
    def listening(self) -> bool:
        """Whether posts are accepted."""
        return self._listener is not None

    async def start(self) -> None:
        """Listen.

        Raises:
            ServiceError: the port is taken.
        """
        app = web.Application(client_max_size=BODY_BYTES)
        app.router.add_post(self._path, self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=FINISH_SECONDS)
        await self._runner.setup()
        address = (self._settings.webhook_host, self._settings.webhook_port)
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        try:
            self._listener = socket.create_server(address, family=family, backlog=BACKLOG)
        except OSError as error:
            raise ServiceError(f"AISHA_WEBHOOK_PORT {address[1]} cannot be used: {error.strerror}") from None
        self._site = web.SockSite(self._runner, self._listener, backlog=BACKLOG)
        await self._site.start()
        log.info("listening for the webhook", host=address[0], port=address[1], path=self._path)

    async def drain(self) -> None:
        """Stop listening without failing a request, finish what was begun, and end."""
        if not (self._runner and self._site):
            return
        self._draining = True
        await self._close_port(self._runner, self._site)
        await self._linger(self._runner)
        await self._runner.cleanup()

    async def _linger(self, runner: web.AppRunner) -> None:
        """Wait a moment for the last connection to end."""
        end = asyncio.get_running_loop().time() + LINGER_SECONDS
        while _protocol(runner).connections and asyncio.get_running_loop().time() < end:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    async def _close_port(self, runner: web.AppRunner, site: web.SockSite) -> None:
        """Close the port after accepting the connections that wait at it: closing would reset them."""
        assert self._listener
        port, self._listener = self._listener.dup(), None
        await site.stop()
        waiting = []
        with port, contextlib.suppress(BlockingIOError):
            port.setblocking(False)
            while True:
                waiting.append(port.accept()[0])
        for connection in waiting:
            connection.setblocking(False)
            await asyncio.get_running_loop().connect_accepted_socket(_protocol(runner), connection)

    async def _take(self, request: web.Request) -> web.Response:
        if not hmac.compare_digest(request.headers.get(SECRET_HEADER, "").encode(), self._secret):
            return self._answer(401, "secret")
        try:
            await self._group.add(_update(await request.read()))
        except (ValueError, RecursionError, psycopg.DataError):
            return self._answer(400, "malformed")
        except LOST as error:
            log.warning("an update is not taken, the database is unreachable", error=str(error))
            return self._answer(503, "database")
        self._wakeups.wake("handle")
        return self._answer(200)

    def _answer(self, status: int, reason: str | None = None) -> web.Response:
        if reason:
            metrics.WEBHOOK_REFUSED.labels(reason).inc()
        answer = web.Response(status=status, headers=RETRY_AFTER if status == 503 else None)
        if self._draining:
            answer.force_close()
        return answer


def _protocol(runner: web.AppRunner) -> Any:
    assert runner.server
    return runner.server


def _update(body: bytes) -> dict[str, Any]:
    """Return the update in a body.

    Raises:
        ValueError: the body is not a JSON object with an `update_id`.
    """
    update = json.loads(body)
    number = update.get("update_id") if isinstance(update, dict) else None
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 2**63:
        raise ValueError("no update")
    return dict(update)
