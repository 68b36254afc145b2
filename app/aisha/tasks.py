"""Ending asyncio's tasks."""

import asyncio
from collections.abc import Iterable
from typing import Any

CANCEL_AGAIN_SECONDS = 1.0


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks until they have ended.

    Once is not enough: a library that hits an error of its own while it is cancelled raises that one, and a
    loop that retries after an error would go on as if it had not been cancelled.
    """
    pending = wanted = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_SECONDS)
    await asyncio.gather(*wanted, return_exceptions=True)
