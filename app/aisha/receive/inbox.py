"""The inbox: updates are committed to it before they are acknowledged, and each is handled once."""

import asyncio
from typing import Any

import psycopg
import structlog
from aiogram import Bot, Dispatcher
from aiogram.dispatcher.event.bases import UNHANDLED
from aiogram.types import Update
from pydantic import ValidationError

from aisha import metrics, texts
from aisha.database import inbox, outbox
from aisha.database.connect import Connection, Pool, Wakeups
from aisha.database.leases import Lease
from aisha.database.presence import LapsedError
from aisha.receive.membership import show_what_waits

log = structlog.get_logger(__name__)

ATTEMPTS = 3
STATUS_SECONDS = 0.06
"""How long a status message waits, so that the file is stored first: the answer depends on the file."""

RECORDINGS = ("voice", "audio", "video_note", "video")


async def commit(pool: Pool, updates: list[dict[str, Any]], source: str, lease: Lease | None = None) -> None:
    """Commit a batch of updates in one transaction; those that were committed before change nothing.

    Raises:
        LostLeaseError: another bot has taken the lease that the batch depends on, so nothing was committed.
    """
    additions = [inbox.add(update["update_id"], _storable(update), *_position(update)) for update in updates]
    async with pool.connection() as connection, connection.durable():
        if lease:
            await lease.prove(connection)
        new = await connection.run_each(additions)
    metrics.UPDATES.labels(source).inc(new)
    metrics.DUPLICATES.inc(len(additions) - new)


def _position(update: dict[str, Any]) -> tuple[int | None, int | None]:
    """Return the chat's id and the message's id of an update that brings a new message, else two Nones."""
    message = update.get("message")
    if not isinstance(message, dict) or not isinstance(message.get("chat"), dict):
        return None, None
    chat_id, message_id = message["chat"].get("id"), message.get("message_id")
    return (chat_id, message_id) if _is_bigint(chat_id) and _is_bigint(message_id) else (None, None)


def _is_bigint(value: object) -> bool:
    return isinstance(value, int) and -(2**63) <= value < 2**63


def _storable(value: Any) -> Any:
    """Return JSON without what PostgreSQL's jsonb refuses within a string: NUL and half a surrogate pair.

    One such update would keep its whole batch, and so every later update, from being committed.
    """
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(key): _storable(item) for key, item in value.items()}
    return value


class Handler:
    """Handles what is in the inbox, oldest first.

    1. The oldest unhandled update is locked.
    2. The routers' handlers write what follows from it (a message, a reply) in the same transaction.
    3. The update is marked as handled, and all of it is committed together: it is handled once or not at all.
    """

    def __init__(self, bot: Bot, dispatcher: Dispatcher, pool: Pool, wakeups: Wakeups) -> None:
        self._bot = bot
        self._dispatcher = dispatcher
        self._pool = pool
        self._wakeups = wakeups

    async def step(self) -> None:
        """Handle everything in the inbox."""
        while await self._handle_next():
            pass

    async def _handle_next(self) -> bool:
        async with self._pool.connection() as connection, connection.transaction():
            row = await connection.one(inbox.next_unhandled())
            if not row:
                return False
            error, last = None, row.attempts + 1 >= ATTEMPTS
            await show_what_waits(connection, row)
            with structlog.contextvars.bound_contextvars(update_id=row.update_id):
                try:
                    async with connection.transaction():
                        update = Update.model_validate(row.update, context={"bot": self._bot})
                        result = await self._dispatcher.feed_update(
                            self._bot, update, connection=connection, update_id=row.update_id
                        )
                        if result is UNHANDLED:
                            log.info("no handler for this update", keys=sorted(row.update))
                except ValidationError as invalid:
                    error = f"not an update as the Bot API describes it: {invalid.error_count()} errors"
                    log.warning("update ignored", reason=error, update_keys=sorted(row.update))
                    last = True
                except LapsedError:
                    raise
                except Exception as failure:
                    if isinstance(failure, psycopg.Error) and not isinstance(failure, psycopg.DataError):
                        raise  # the database's fault or the schema's, not this update's
                    error = f"{type(failure).__name__}: {failure}"
                    log.exception("handling an update failed", attempt=row.attempts + 1)
            if error and last:
                await _apologise(connection, row)
            await connection.run(inbox.tried(row.update_id, error, handled=error is None or last))
        self._wakeups.wake("store")
        self._wakeups.wake("answer")
        asyncio.get_running_loop().call_later(STATUS_SECONDS, self._wakeups.wake, "send")
        metrics.HANDLED.labels("error" if error else "ok").inc()
        return True


async def _apologise(connection: Connection, row: inbox.Unhandled) -> None:
    """Tell the sender of a recording that it could not be handled; for other updates say nothing."""
    message = row.update.get("message") or {}
    if row.chat_id is None or not any(message.get(kind) for kind in RECORDINGS):
        return
    sender = message.get("from")
    code = sender.get("language_code") if isinstance(sender, dict) else None
    text = texts.say("failed", texts.interface(code if isinstance(code, str) else None))
    thread_id = message.get("message_thread_id") if message.get("is_topic_message") is True else None
    reply = outbox.reply(
        row.chat_id, text, reply_to=row.message_id, thread_id=thread_id if _is_bigint(thread_id) else None
    )
    await connection.run(reply)
