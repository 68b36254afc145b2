"""Tells waiting calls and open browser pages that something changed."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any, TypeVar

from aisha_sandbox.state import Json

Found = TypeVar("Found")


class Hub:
    """Wakes those who wait for a topic, and copies events to every open page."""

    def __init__(self) -> None:
        self._waiters: dict[str, set[asyncio.Future[None]]] = defaultdict(set)
        self.pages: set[asyncio.Queue[Json]] = set()

    def wake(self, topic: str) -> None:
        """Let those who wait for the topic look again."""
        for future in self._waiters.pop(topic, ()):
            if not future.done():
                future.set_result(None)

    def publish(self, kind: str, **event: Any) -> None:
        """Send an event to every open page."""
        for queue in self.pages:
            queue.put_nowait({"type": kind, **event})

    async def wait(self, topic: str, look: Callable[[], Found], seconds: float) -> Found:
        """Return what `look` finds as soon as it is truthy, or what it finds when the seconds are over."""
        deadline = time.monotonic() + seconds
        while not (found := look()):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            await self.changed(topic, left)
        return found

    async def changed(self, topic: str, seconds: float) -> None:
        """Return when the topic is woken, or when the seconds are over."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[topic].add(future)
        try:
            await asyncio.wait_for(future, seconds)
        except TimeoutError:
            pass
        finally:
            self._waiters[topic].discard(future)
