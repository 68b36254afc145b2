"""Stores received recordings: from Telegram to object storage, by content, and on to the queue."""

import asyncio
import io
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog
from aiogram import Bot
from aiogram.exceptions import TelegramAPIError, TelegramRetryAfter

from aisha import metrics
from aisha.database import jobs, messages
from aisha.database.connect import LOST, Connection, Pool, Wakeups
from aisha.database.locks import locked
from aisha.database.messages import Due, Message
from aisha.database.presence import LapsedError
from aisha.errors import AudioError, FileGoneError
from aisha.lanes import SHORT_BYTES, SHORT_SECONDS, lane_of
from aisha.objects import UNREACHABLE, NoRoomError, Objects
from aisha.outcomes import Outcome
from aisha.settings import Settings
from aisha.store.fetch import Fetched, FetchInterruptedError, UnavailableError, fetch, locate
from aisha.store.room import Room
from aisha.store.turns import SLOTS, choose
from aisha.tasks import end
from aisha.threads import Threads

log = structlog.get_logger(__name__)

ROOM_SECONDS = 10
GIVE_UP = timedelta(hours=24)
FAILED = (LapsedError, OSError, *UNREACHABLE)


class Storer:
    """Brings received recordings to object storage.

    1. Messages in state `received` are chosen by turns. Each gets a task, which holds the message's lock; a killed bot
       loses it.
    2. The file is located, fetched and hashed; the object's key is its SHA-256. A large one is stored as it arrives,
       under a key of the message's own, and moved.
    3. The state `stored` and the job are committed together.
    4. A permanent failure becomes an outcome; any other is retried with growing pauses. Without room it waits.
    """

    def __init__(self, bot: Bot, pool: Pool, objects: Objects, settings: Settings, wakeups: Wakeups) -> None:
        self._bot = bot
        self._pool = pool
        self._objects = objects
        self._settings = settings
        self._wakeups = wakeups
        self._room = Room(settings)
        self._tasks: dict[Due, asyncio.Task[None]] = {}
        self._threads = Threads("store", SLOTS)
        self._closing = threading.Event()
        self._unavailable_since: dict[int, float] = {}

    async def step(self) -> None:
        """Start a task for each message that is due and whose turn it is."""
        busy, share = list(self._tasks), self._settings.stored_bytes_per_user
        async with self._pool.connection() as connection:
            due = await connection.all(
                messages.to_store([one.id for one in busy], SHORT_BYTES, SHORT_SECONDS, share)
            )
        for one in choose(due, busy):
            task = asyncio.create_task(self._serve(one.id))
            self._tasks[one] = task
            task.add_done_callback(partial(self._done, one))

    async def close(self) -> None:
        """Stop at once, including the threads that copy: what was not stored is still `received`."""
        self._closing.set()
        await end(self._tasks.values())

    def _done(self, one: Due, _: asyncio.Task[None]) -> None:
        self._tasks.pop(one, None)
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
            async with self._room.for_bytes(connection, row.file_size or 0):
                await self._bring(connection, row)
        except AudioError as error:
            metrics.STORED.labels(error.outcome).inc()
            await _refuse(connection, row, error.outcome, str(error))
        except NoRoomError as error:
            await self._later(connection, row, error, ROOM_SECONDS, no_room=True)
        except TelegramRetryAfter as error:
            await self._later(connection, row, error, error.retry_after)
        except (FetchInterruptedError, UnavailableError, TelegramAPIError, *FAILED) as error:
            await self._later(connection, row, error, _pause(row))
        except LOST:
            raise
        except Exception as error:
            log.exception("storing failed unexpectedly")
            await self._later(connection, row, error, _pause(row))

    async def _bring(self, connection: Connection, row: Message) -> None:
        arriving = f"incoming/{row.id}"
        fetched = await self._fetch(row, arriving)
        key = f"recordings/{fetched.sha256[:2]}/{fetched.sha256}"
        if await connection.run(messages.copy_known(row.id, row.language, object_key=key)):
            log.info("answered from the database")
            if fetched.content is None:
                await self._threads.run(self._objects.remove, arriving)
            return
        if fetched.content is None:
            await self._threads.run(self._objects.move, arriving, key)
        else:
            await self._threads.run(self._objects.put, key, io.BytesIO(fetched.content), fetched.size)
        lane = lane_of(row.declared_seconds, fetched.size)
        async with connection.transaction():
            await connection.run(messages.stored(row.id, key, fetched.size))
            await connection.run(jobs.add(row.id, row.user_id, lane, row.declared_seconds, key))
        self._wakeups.wake("dispatch")
        metrics.STORED.labels("stored").inc()
        metrics.STORED_BYTES.inc(fetched.size)
        log.info("stored", bytes=fetched.size, lane=lane)

    async def _fetch(self, row: Message, arriving: str) -> Fetched:
        """Return the file, or only its digest when it was stored as `arriving`.

        Raises:
            FileGoneError: Telegram has not had it for as long as `file_patience` says.
            UnavailableError: Telegram does not have it now.
        """
        try:
            path = await locate(self._bot, row.file_id)
            limit, put = self._settings.file_limit, partial(self._objects.put, arriving)
            fetched = await self._threads.run(fetch, self._bot, path, limit, self._closing, put)
        except UnavailableError as error:
            since = self._unavailable_since.setdefault(row.id, time.monotonic())
            if time.monotonic() - since < self._settings.file_patience:
                raise
            del self._unavailable_since[row.id]
            raise FileGoneError(str(error)) from None
        self._unavailable_since.pop(row.id, None)
        return fetched

    async def _later(
        self,
        connection: Connection,
        row: Message,
        error: Exception,
        seconds: float,
        *,
        no_room: bool = False,
    ) -> None:
        if row.received_at < datetime.now(UTC) - GIVE_UP:
            await _refuse(connection, row, "failed", f"not stored for a day: {error}")
            return
        reason = f"{type(error).__name__}: {error}"
        log.warning("storing is tried again", error=reason, seconds=seconds)
        metrics.STORED.labels("no_room" if no_room else "retried").inc()
        await connection.run(messages.store_later(row.id, reason, seconds, no_room=no_room))


async def _refuse(connection: Connection, row: Message, outcome: Outcome, error: str) -> None:
    log.info("refused", outcome=outcome, error=error)
    await connection.run(messages.refuse(row.id, outcome, error))


def _pause(row: Message) -> float:
    """Return how many seconds to wait before the next try."""
    return float(min(0.5 * 2 ** min(row.store_attempts, 6), 30.0))
