"""Ending asyncio's tasks."""

import asyncio
from collections.abc import Iterable
from typing import Any

CANCEL_AGAIN_SECONDS = 1.0


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks until they have ended.

    Once is not enough: a library that meets an error of its own while it is cancelled raises that one, and
    whoever takes a step again after an error goes on as if nothing had been said.
    """
    pending = wanted = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_SECONDS)
    await asyncio.gather(*wanted, return_exceptions=True)
