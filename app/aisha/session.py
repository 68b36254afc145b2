"""Calls to the Bot API, none of which leaves a process that another bot may have fenced."""

from collections.abc import Callable
from typing import Any

from aiogram.client.session.aiohttp import AiohttpSession
from aiohttp import ClientSession, TraceConfig


class GuardedSession(AiohttpSession):
    """aiogram's session, with a check when a call begins and again at the last moment before its bytes are written.

    The second one catches a process that is stopped while its call waits for a connection. What remains is the moment
    between that check and the kernel's taking the bytes, in the same turn of the event loop.
    """

    def __init__(self, check: Callable[[], None], **options: Any) -> None:
        super().__init__(**options)

        async def guard(*_: Any) -> None:
            check()

        self._guard = TraceConfig()
        for moment in (
            self._guard.on_request_start,
            self._guard.on_request_headers_sent,
            self._guard.on_request_chunk_sent,
        ):
            moment.append(guard)
        self._guard.freeze()

    async def create_session(self) -> ClientSession:
        """Return the client, guarded."""
        session = await super().create_session()
        if self._guard not in session.trace_configs:
            session.trace_configs.append(self._guard)
        return session
