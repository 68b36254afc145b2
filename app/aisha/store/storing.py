"""Stores received recordings: from Telegram to object storage, by content, and on to the queue."""

import asyncio
import os
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from aiogram import Bot
from aiogram.exceptions import TelegramAPIError, TelegramRetryAfter

from aisha import metrics
from aisha.database.connect import LOST, Connection, Pool, Wakeups, locked, notify
from aisha.database.presence import LapsedError
from aisha.errors import AudioError
from aisha.lanes import lane_of
from aisha.objects import UNREACHABLE, Objects
from aisha.receive.recordings import answer_known, refuse
from aisha.settings import Settings
from aisha.store.fetch import FetchInterruptedError, fetch, locate
from aisha.tasks import end

log = structlog.get_logger(__name__)

STORERS = 8
GIVE_UP = timedelta(hours=24)
DUE = """
    SELECT id FROM messages WHERE state = 'received' AND store_after <= now() AND NOT id = ANY(%s)
    ORDER BY id LIMIT %s
"""
STORED = """
    UPDATE messages SET state = 'stored', stored_at = now(), object_key = %(key)s, file_size = %(size)s, error = NULL
    WHERE id = %(id)s AND state = 'received'
"""
ADD_JOB = """
    INSERT INTO jobs (message, user_id, lane, seconds, object_key)
    VALUES (%(id)s, %(user_id)s, %(lane)s, %(seconds)s, %(key)s) ON CONFLICT DO NOTHING
"""
RETRY = """
    UPDATE messages SET store_attempts = store_attempts + 1, error = %s,
                        store_after = now() + make_interval(secs => %s)
    WHERE id = %s AND state = 'received'
"""


class Storer:
    """Brings received recordings to object storage.

    1. Each message in state `received` gets a task, which holds the message's lock: a bot that is killed lets go of it.
    2. The file is located, fetched into a spool and hashed; the object's key is its SHA-256.
    3. The state `stored` and the job are committed together.
    4. What is lost for good becomes an outcome; what failed on the way is tried again, ever more slowly.
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
            rows = await (await connection.execute(DUE, [list(self._tasks), free])).fetchall()
        for row in rows:
            task = asyncio.create_task(self._serve(row["id"]))
            self._tasks[row["id"]] = task
            task.add_done_callback(partial(self._done, row["id"]))

    async def close(self) -> None:
        """Stop at once, also the threads that copy: what was not stored is still `received`."""
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
        row = await (
            await connection.execute("SELECT * FROM messages WHERE id = %s AND state = 'received'", [message])
        ).fetchone()
        if not row:
            return
        try:
            await self._bring(connection, row)
        except AudioError as error:
            metrics.STORED.labels(error.outcome).inc()
            await refuse(connection, message, error.outcome, str(error))
        except TelegramRetryAfter as error:
            await self._later(connection, row, error, error.retry_after)
        except (FetchInterruptedError, TelegramAPIError, LapsedError, OSError, *UNREACHABLE) as error:
            await self._later(connection, row, error, _pause(row))
        except LOST:
            raise
        except Exception as error:
            log.exception("storing failed unexpectedly")
            await self._later(connection, row, error, _pause(row))

    async def _bring(self, connection: Connection, row: dict[str, Any]) -> None:
        path = await locate(self._bot, row["file_id"])
        with await asyncio.to_thread(
            fetch, self._bot, path, self._settings.file_limit, self._spool_folder, self._closing
        ) as fetched:
            key = f"recordings/{fetched.sha256[:2]}/{fetched.sha256}"
            if await answer_known(connection, row["id"], row["language"], object_key=key):
                return
            await asyncio.to_thread(self._objects.put, key, fetched.spool, fetched.size)
        job = {
            "id": row["id"],
            "user_id": row["user_id"],
            "lane": lane_of(row["declared_seconds"], fetched.size),
            "seconds": row["declared_seconds"],
            "key": key,
            "size": fetched.size,
        }
        async with connection.transaction():
            await connection.execute(STORED, job)
            await connection.execute(ADD_JOB, job)
            await notify(connection, "dispatch")
        self._wakeups.wake("dispatch")
        metrics.STORED.labels("stored").inc()
        metrics.STORED_BYTES.inc(fetched.size)
        log.info("stored", bytes=fetched.size, lane=job["lane"])

    async def _later(
        self, connection: Connection, row: dict[str, Any], error: Exception, seconds: float
    ) -> None:
        if row["received_at"] < datetime.now(UTC) - GIVE_UP:
            await refuse(connection, row["id"], "failed", f"not stored for a day: {error}")
            return
        log.warning("storing is tried again", error=f"{type(error).__name__}: {error}", seconds=seconds)
        metrics.STORED.labels("retried").inc()
        await connection.execute(RETRY, [f"{type(error).__name__}: {error}", seconds, row["id"]])


def _pause(row: dict[str, Any]) -> float:
    """Return how many seconds to wait before the next try."""
    return float(min(0.5 * 2 ** min(row["store_attempts"], 6), 30.0))
