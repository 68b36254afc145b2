"""The loops of a process, and what ends them."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import structlog
from aiogram.exceptions import TelegramAPIError
from redis.exceptions import RedisError

from aisha.database.connect import LOST
from aisha.database.presence import LapsedError
from aisha.errors import AishaError
from aisha.objects import UNREACHABLE

log = structlog.get_logger(__name__)

TRANSIENT = (*LOST, RedisError, TelegramAPIError, OSError, LapsedError, *UNREACHABLE)


async def forever(name: str, step: Callable[[], Awaitable[Any]], wait: Callable[[], Awaitable[Any]]) -> None:
    """Take a step, wait, and repeat; a failure of a service is logged and the step is retried.

    Raises:
        AishaError: the operator must fix something.
    """
    failures = 0
    while True:
        try:
            await step()
            failures = 0
            await wait()
        except AishaError:
            raise
        except TRANSIENT as error:
            failures += 1
            log.warning("a step failed and is retried", stage=name, error=f"{type(error).__name__}: {error}")
            await asyncio.sleep(min(0.2 * 2 ** min(failures, 6), 5))
        except Exception:
            failures += 1
            log.exception("a step failed unexpectedly and is retried", stage=name)
            await asyncio.sleep(min(0.5 * 2 ** min(failures, 6), 30))


def stop_signal() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set.

    Call this first: the first process of a container ignores a signal that it has no handler for.
    """
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped


async def until(stopped: asyncio.Event, loops: Iterable[asyncio.Task[Any]]) -> None:
    """Return when told to stop; raise what ends a loop."""
    waiting = asyncio.create_task(stopped.wait())
    done, _ = await asyncio.wait([waiting, *loops], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    for task in done - {waiting}:
        task.result()
