"""Sends the outbox, so that each of its rows is seen exactly once, whatever is killed."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from aiogram import Bot
from aiogram.exceptions import (
    AiogramError,
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramRetryAfter,
)

from aisha import metrics
from aisha.database.connect import DURABLE, LOST, Connection, Pool, Wakeups, locked
from aisha.database.presence import LapsedError
from aisha.deliver.calls import Row, edit, send
from aisha.deliver.doubt import Doubts

log = structlog.get_logger(__name__)

SENDERS = 12
CLOSE_SECONDS = 10
GIVE_UP_HOURS = 24

DUE = """
    FROM outbox LEFT JOIN chats USING (chat_id)
    WHERE shown < version AND failed_at IS NULL AND coalesce(quiet_until <= now(), true)
"""
# A sending that has begun may still be on its way for a moment, so it rests before anyone doubts it.
READY = """
    not_before <= now()
    AND (sending_at IS NULL OR sent_id IS NOT NULL OR sending_at < now() - interval '2 seconds')
"""
DUE_CHATS = f"""
    SELECT chat_id FROM (SELECT DISTINCT ON (chat_id) chat_id, outbox.id, {READY} AS ready {DUE}
                         ORDER BY chat_id, outbox.id) AS first_rows
    WHERE ready AND NOT chat_id = ANY(%s) ORDER BY id LIMIT %s
"""  # noqa: S608 - of constants
NEXT_ROW = f"SELECT outbox.*, {READY} AS ready {DUE} AND chat_id = %s ORDER BY outbox.id LIMIT 1"
INTEND = """
    UPDATE outbox SET sending_at = now(), after_id = greatest(reply_to, (
        SELECT max(message_id) FROM inbox WHERE inbox.chat_id = outbox.chat_id), (
        SELECT max(sent_id) FROM outbox AS earlier WHERE earlier.chat_id = outbox.chat_id), 0)
    WHERE id = %s RETURNING sending_at
"""
SETTLE = "UPDATE outbox SET sending_at = NULL WHERE id = %s AND sending_at = %s"
SHOWN = """
    UPDATE outbox SET shown = %(version)s, sent_id = %(sent_id)s, sending_at = NULL, shown_at = now(), error = NULL,
                      attempts = 0
    WHERE id = %(id)s
"""
DELIVERED = """
    UPDATE messages SET state = 'delivered', delivered_at = now()
    WHERE id = %s AND answered_at IS NOT NULL AND state = 'transcribed' AND NOT EXISTS (
        SELECT FROM outbox WHERE message = messages.id AND (NOT final OR shown < version))
    RETURNING extract(epoch FROM delivered_at - received_at)::float AS seconds
"""
FAIL_ROWS = """
    UPDATE outbox SET failed_at = now(), error = %(error)s
    WHERE id = %(id)s AND version = %(version)s OR %(final)s AND message = %(message)s AND shown < version
"""
UNDELIVERABLE = """
    UPDATE messages SET error = %(error)s, state = CASE WHEN %(final)s THEN 'undeliverable' ELSE state END
    WHERE id = %(message)s AND state <> 'delivered'
"""
TRY_LATER = """
    UPDATE outbox SET attempts = attempts + 1, not_before = now() + make_interval(secs => %s), error = %s WHERE id = %s
    RETURNING created_at < now() - make_interval(hours => %s) AS old
"""
BE_QUIET = """
    INSERT INTO chats (chat_id, quiet_until) VALUES (%s, now() + make_interval(secs => %s))
    ON CONFLICT (chat_id) DO UPDATE SET quiet_until = excluded.quiet_until
"""
MOVE_CHAT = """
    UPDATE outbox SET chat_id = %s, reply_to = NULL, sent_id = NULL, sending_at = NULL
    WHERE chat_id = %s AND shown < version
"""
MOVE_LANGUAGE = """
    INSERT INTO chats (chat_id, language) SELECT %s, language FROM chats WHERE chat_id = %s ON CONFLICT DO NOTHING
"""


class Sender:
    """Brings what Telegram shows to what the outbox says.

    1. Each chat with a row to show gets one task, which holds the chat's lock, so a chat's rows go in their order.
    2. A row without a Telegram message is sent: the intent is committed, then the message sent, then its id committed.
       A row with one is edited, which may be repeated.
    3. A row with an intent and no id was interrupted. The doubt is settled first, once the inbox has caught up: only
       then are all ids known that others have got.
    4. What Telegram refuses for good is marked as failed; anything else is tried again for a day.
    """

    def __init__(
        self, bot: Bot, pool: Pool, wakeups: Wakeups, caught_up: Callable[[], Awaitable[bool]]
    ) -> None:
        self._bot = bot
        self._pool = pool
        self._wakeups = wakeups
        self._caught_up = caught_up
        self._doubts = Doubts()
        self._chats: dict[int, asyncio.Task[None]] = {}
        self._closing = False

    async def step(self) -> None:
        """Start a task for each chat that has something to show."""
        async with self._pool.connection() as connection:
            free = SENDERS - len(self._chats)
            rows = await (await connection.execute(DUE_CHATS, [list(self._chats), free])).fetchall()
        for row in rows:
            task = asyncio.create_task(self._serve_chat(row["chat_id"]))
            self._chats[row["chat_id"]] = task
            task.add_done_callback(partial(self._done, row["chat_id"]))

    async def close(self) -> None:
        """Let each chat that is being served finish the row it is at."""
        self._closing = True
        if self._chats:
            await asyncio.wait(list(self._chats.values()), timeout=CLOSE_SECONDS)

    def _done(self, chat_id: int, _: asyncio.Task[None]) -> None:
        self._chats.pop(chat_id, None)
        self._wakeups.wake("send")

    async def _serve_chat(self, chat_id: int) -> None:
        try:
            async with locked(self._pool, f"chat:{chat_id}") as connection:
                if connection is None:
                    await asyncio.sleep(0.5)
                while connection and not self._closing and await self._serve_next(connection, chat_id):
                    pass
        except LapsedError as error:
            log.warning("not sent, this bot may not act now", chat_id=chat_id, error=str(error))
            await asyncio.sleep(0.5)
        except LOST as error:
            log.warning("database lost while sending", chat_id=chat_id, error=str(error))
            await asyncio.sleep(0.5)
        except Exception:
            log.exception("sending failed", chat_id=chat_id)
            await asyncio.sleep(1)

    async def _serve_next(self, connection: Connection, chat_id: int) -> bool:
        """Show the chat's next row; return whether it was shown, so that the next one may follow."""
        row = await (await connection.execute(NEXT_ROW, [chat_id])).fetchone()
        if not row or not row["ready"]:
            return False
        if _in_doubt(row) and not await self._caught_up():
            await asyncio.sleep(0.2)
            return False
        names = {"message": row["message"], "chat_id": chat_id, "outbox": row["id"]}
        with structlog.contextvars.bound_contextvars(**names):
            return await self._show(connection, row)

    async def _show(self, connection: Connection, row: Row) -> bool:
        try:
            sent_id = await self._shown_as(connection, row)
        except TelegramRetryAfter as error:
            await self._be_quiet(row, error.retry_after)
        except TelegramMigrateToChat as error:
            await self._move_chat(row["chat_id"], error.migrate_to_chat_id)
        except TelegramForbiddenError as error:
            await self._give_up(row, error)
        except TelegramBadRequest as error:
            await self._refused(row, error)
        except AiogramError as error:
            await self._try_later(row, error)
        else:
            await self._record_shown(row, sent_id)
            return True
        return False

    async def _shown_as(self, connection: Connection, row: Row) -> int:
        """Bring the row before its reader and return the id of its message."""
        if row["sent_id"]:
            await edit(self._bot, row, row["sent_id"])
            return int(row["sent_id"])
        if _in_doubt(row):
            if found := await self._doubts.resolve(self._bot, connection, row):
                return found
            await self._record((SETTLE, [row["id"], row["sending_at"]]))
        sending_at = await self._intend(connection, row)
        try:
            return await send(self._bot, row)
        except (TelegramRetryAfter, LapsedError):  # refused, or never begun, so there is no doubt
            await self._record((SETTLE, [row["id"], sending_at]))
            raise

    async def _intend(self, connection: Connection, row: Row) -> datetime:
        """Commit that the row is about to be sent, and return when."""
        async with connection.transaction():
            await connection.execute(DURABLE)
            intended = await (await connection.execute(INTEND, [row["id"]])).fetchone()
        assert intended
        sending_at: datetime = intended["sending_at"]
        return sending_at

    async def _record_shown(self, row: Row, sent_id: int) -> None:
        shown = (SHOWN, {"id": row["id"], "version": row["version"], "sent_id": sent_id})
        if not row["message"] or not row["final"]:
            await self._record(shown)
        elif delivered := await self._record(shown, (DELIVERED, [row["message"]])):
            metrics.ANSWER_SECONDS.observe(delivered["seconds"])
            log.info("delivered", seconds=round(delivered["seconds"], 3))

    async def _refused(self, row: Row, error: TelegramBadRequest) -> None:
        """Our message may have been deleted: then a new one takes its place, and its own refusal is the last word."""
        if row["sent_id"]:
            log.info("our message cannot be edited, sending a new one", error=error.message)
            await self._record(
                ("UPDATE outbox SET sent_id = NULL, sending_at = NULL WHERE id = %s", [row["id"]])
            )
        else:
            await self._give_up(row, error)

    async def _give_up(self, row: Row, error: AiogramError) -> None:
        log.warning("cannot be delivered", error=str(error))
        metrics.SENT.labels("refused").inc()
        values = {**row, "error": str(error)}
        await self._record((FAIL_ROWS, values), (UNDELIVERABLE, values))

    async def _be_quiet(self, row: Row, seconds: float) -> None:
        log.warning("Telegram asks to wait", seconds=seconds)
        metrics.SENT.labels("retry_after").inc()
        await self._record((BE_QUIET, [row["chat_id"], seconds]))

    async def _try_later(self, row: Row, error: AiogramError) -> None:
        seconds = min(2.0 ** min(row["attempts"], 5), 30.0)
        log.warning("Telegram did not answer, trying again", error=str(error), seconds=seconds)
        tried = await self._record((TRY_LATER, [seconds, str(error), row["id"], GIVE_UP_HOURS]))
        if tried and tried["old"]:
            await self._give_up(row, error)

    async def _move_chat(self, chat_id: int, new_chat_id: int) -> None:
        """Send what was not shown yet to the supergroup that a group has become; its ids start anew."""
        log.info("the group became a supergroup", chat_id=chat_id, new_chat_id=new_chat_id)
        ids = [new_chat_id, chat_id]
        await self._record((MOVE_LANGUAGE, ids), (MOVE_CHAT, ids))

    async def _record(self, *statements: tuple[str, Any]) -> dict[str, Any] | None:
        """Commit what Telegram has done, together; it cannot be asked again, so this waits for the database.

        Returns the row that the last statement gives.
        """
        while True:
            try:
                async with self._pool.connection() as connection, connection.transaction():
                    await connection.execute(DURABLE)
                    for statement, values in statements:
                        cursor = await connection.execute(statement, values)
                    return await cursor.fetchone() if cursor.description else None
            except LOST as error:
                log.warning("waiting for the database to record a sending", error=str(error))
                await asyncio.sleep(0.3)


def _in_doubt(row: Row) -> bool:
    return row["sending_at"] is not None and row["sent_id"] is None
