"""Stores received recordings: from Telegram to object storage, by content, and on to the queue."""

import asyncio
import os
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import structlog
from aiogram import Bot
from aiogram.exceptions import TelegramAPIError, TelegramRetryAfter

from aisha import metrics
from aisha.database import jobs, messages
from aisha.database.connect import LOST, Connection, Pool, Wakeups
from aisha.database.locks import locked
from aisha.database.messages import Message
from aisha.database.presence import LapsedError
from aisha.errors import AudioError
from aisha.lanes import lane_of
from aisha.objects import UNREACHABLE, Objects
from aisha.outcomes import Outcome
from aisha.settings import Settings
from aisha.store.fetch import FetchInterruptedError, fetch, locate
from aisha.tasks import end

log = structlog.get_logger(__name__)

STORERS = 8
GIVE_UP = timedelta(hours=24)


class Storer:
    """Brings received recordings to object storage.

    1. Each message in state `received` gets a task, which holds the message's lock; a killed bot loses it.
    2. The file is located, fetched into a spool and hashed; the object's key is its SHA-256.
    3. The state `stored` and the job are committed together.
    4. A permanent failure becomes an outcome; any other is retried with growing pauses.
    """

    def __init__(self, bot: Bot, pool: Pool, objects: Objects, settings: Settings, wakeups: Wakeups) -> None:
        self._bot = bot
        self._pool = pool
        self._objects = objects
        self._settings = settings
        self._wakeups = wakeups
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._closing = threading.Event()
        self._spool_folder = Path(os.environ.get("TMPDIR") or tempfile.gettempdir())

    async def step(self) -> None:
        """Start a task for each message that is due, a few at a time."""
        async with self._pool.connection() as connection:
            free = STORERS - len(self._tasks)
            due = await connection.all(messages.to_store(list(self._tasks), free))
        for message in due:
            task = asyncio.create_task(self._serve(message))
            self._tasks[message] = task
            task.add_done_callback(partial(self._done, message))

    async def close(self) -> None:
        """Stop at once, including the threads that copy: what was not stored is still `received`."""
        self._closing.set()
        await end(self._tasks.values())

    def _done(self, message: int, _: asyncio.Task[None]) -> None:
        self._tasks.pop(message, None)
        self._wakeups.wake("store")

    async def _serve(self, message: int) -> None:
        with structlog.contextvars.bound_contextvars(message=message):
            try:
                async with locked(self._pool, f"store:{message}") as connection:
                    if connection:
                        await self._store(connection, message)
                    else:
                        await asyncio.sleep(0.5)
            except LOST as error:
                log.warning("database lost while storing", error=str(error))
                await asyncio.sleep(0.5)

    async def _store(self, connection: Connection, message: int) -> None:
        row = await connection.one(messages.received(message))
        if not row:
            return
        try:
            await self._bring(connection, row)
        except AudioError as error:
            metrics.STORED.labels(error.outcome).inc()
            await _refuse(connection, row, error.outcome, str(error))
        except TelegramRetryAfter as error:
            await self._later(connection, row, error, error.retry_after)
        except (FetchInterruptedError, TelegramAPIError, LapsedError, OSError, *UNREACHABLE) as error:
            await self._later(connection, row, error, _pause(row))
        except LOST:
            raise
        except Exception as error:
            log.exception("storing failed unexpectedly")
            await self._later(connection, row, error, _pause(row))

    async def _bring(self, connection: Connection, row: Message) -> None:
        path = await locate(self._bot, row.file_id)
        with await asyncio.to_thread(
            fetch, self._bot, path, self._settings.file_limit, self._spool_folder, self._closing
        ) as fetched:
            key = f"recordings/{fetched.sha256[:2]}/{fetched.sha256}"
            if await connection.run(messages.copy_known(row.id, row.language, object_key=key)):
                log.info("answered from the database")
                return
            await asyncio.to_thread(self._objects.put, key, fetched.spool, fetched.size)
        lane = lane_of(row.declared_seconds, fetched.size)
        async with connection.transaction():
            await connection.run(messages.stored(row.id, key, fetched.size))
            await connection.run(jobs.add(row.id, row.user_id, lane, row.declared_seconds, key))
        self._wakeups.wake("dispatch")
        metrics.STORED.labels("stored").inc()
        metrics.STORED_BYTES.inc(fetched.size)
        log.info("stored", bytes=fetched.size, lane=lane)

    async def _later(self, connection: Connection, row: Message, error: Exception, seconds: float) -> None:
        if row.received_at < datetime.now(UTC) - GIVE_UP:
            await _refuse(connection, row, "failed", f"not stored for a day: {error}")
            return
        reason = f"{type(error).__name__}: {error}"
        log.warning("storing is tried again", error=reason, seconds=seconds)
        metrics.STORED.labels("retried").inc()
        await connection.run(messages.store_later(row.id, reason, seconds))


async def _refuse(connection: Connection, row: Message, outcome: Outcome, error: str) -> None:
    log.info("refused", outcome=outcome, error=error)
    await connection.run(messages.refuse(row.id, outcome, error))


def _pause(row: Message) -> float:
    """Return how many seconds to wait before the next try."""
    return float(min(0.5 * 2 ** min(row.store_attempts, 6), 30.0))
