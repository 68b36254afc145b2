"""Whether a service answers."""

import asyncio
from collections.abc import Awaitable, Callable

ANSWER_SECONDS = 3.0


class Probe:
    """Asks a service once at a time.

    Whoever wants to know meanwhile gets the same answer, so a service that hangs costs one call, however often it is
    asked for.
    """

    def __init__(self, ask: Callable[[], Awaitable[object]]) -> None:
        self._ask = ask
        self._asking: asyncio.Future[object] | None = None

    async def state(self) -> str:
        """Return `ok` or what is wrong; a service that has not answered after three seconds is not waited for."""
        if self._asking is None:
            self._asking = asyncio.ensure_future(self._ask())
            self._asking.add_done_callback(self._answered)
        asking = self._asking
        await asyncio.wait({asking}, timeout=ANSWER_SECONDS)
        if not asking.done():
            return f"no answer within {ANSWER_SECONDS:.0f} s"
        error = asking.exception()
        return f"{type(error).__name__}: {error}"[:200] if error else "ok"

    def _answered(self, _: asyncio.Future[object]) -> None:
        self._asking = None
