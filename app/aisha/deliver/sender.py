"""Sends the outbox so that each of its rows is shown exactly once, whatever is killed."""

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
from aisha.database import chats, messages, outbox
from aisha.database.connect import LOST, Connection, Pool, Wakeups
from aisha.database.locks import locked
from aisha.database.outbox import Outgoing
from aisha.database.presence import LapsedError
from aisha.database.statement import Row, Statement
from aisha.deliver.calls import edit, send
from aisha.deliver.doubt import Doubts

log = structlog.get_logger(__name__)

SENDERS = 12
CLOSE_SECONDS = 10
GIVE_UP_HOURS = 24
REFUSED = (TelegramRetryAfter, TelegramMigrateToChat, TelegramForbiddenError, TelegramBadRequest)
NO_RIGHT = ("not enough rights", "have no rights", "CHAT_WRITE_FORBIDDEN", "CHAT_RESTRICTED", "TOPIC_CLOSED")
"""What a 400 says when the bot is in the chat and may not write there; no page of the Bot API lists these."""


class Sender:
    """Makes Telegram show what the outbox says.

    1. Each chat with a row to show gets one task, which holds the chat's lock, so a chat's rows are sent in order.
    2. A row without a Telegram message is sent: the intent is committed, then the message sent, then its id committed.
       A row with one is edited, which is idempotent.
    3. A row with an intent and no id is in doubt. The doubt is resolved first, once the inbox has caught up: only then
       are the ids of all other messages known.
    4. What Telegram refuses permanently is marked as failed; anything else is retried for a day. What failed because
       the bot was blocked or removed is due again when the chat is back.
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
            due = await connection.all(outbox.due_chats(list(self._chats), free))
        for chat_id in due:
            task = asyncio.create_task(self._serve_chat(chat_id))
            self._chats[chat_id] = task
            task.add_done_callback(partial(self._done, chat_id))

    async def close(self) -> None:
        """Let each chat that is being served finish its current row."""
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
        row = await connection.one(outbox.next_due(chat_id))
        if not row:
            return False
        if row.in_doubt and not await self._caught_up():
            await asyncio.sleep(0.2)
            return False
        names = {"message": row.message, "chat_id": chat_id, "outbox": row.id}
        with structlog.contextvars.bound_contextvars(**names):
            return await self._show(connection, row)

    async def _show(self, connection: Connection, row: Outgoing) -> bool:
        try:
            sent_id = await self._shown_as(connection, row)
        except TelegramRetryAfter as error:
            await self._be_quiet(row, error.retry_after)
        except TelegramMigrateToChat as error:
            await self._move_chat(row.chat_id, error.migrate_to_chat_id)
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

    async def _shown_as(self, connection: Connection, row: Outgoing) -> int:
        """Send or edit the row's message and return its id."""
        if row.sent_id:
            await edit(self._bot, row, row.sent_id)
            return row.sent_id
        if row.in_doubt:
            if found := await self._doubts.resolve(self._bot, connection, row):
                return found
            await self._record(outbox.never_sent(row.id, row.sending_at))
        sending_at = await self._intend(connection, row)
        try:
            return await send(self._bot, row)
        except (*REFUSED, LapsedError):  # refused, or never begun, so there is no doubt
            await self._record(outbox.never_sent(row.id, sending_at))
            raise

    async def _intend(self, connection: Connection, row: Outgoing) -> datetime:
        """Commit that the row is about to be sent, and return when."""
        async with connection.durable():
            return await connection.only(outbox.intend(row.id))

    async def _record_shown(self, row: Outgoing, sent_id: int) -> None:
        shown = outbox.shown(row.id, row.version, sent_id)
        if not row.message or not row.final:
            await self._record(shown)
        elif (seconds := await self._record(shown, last=messages.delivered(row.message))) is not None:
            metrics.ANSWER_SECONDS.observe(seconds)
            log.info("delivered", seconds=round(seconds, 3))

    async def _refused(self, row: Outgoing, error: TelegramBadRequest) -> None:
        """Replace our message by a new one if it cannot be edited; if the new one is refused too, give up."""
        if row.sent_id:
            log.info("our message cannot be edited, sending a new one", error=error.message)
            await self._record(outbox.send_anew(row.id))
        else:
            await self._give_up(row, error)

    async def _give_up(self, row: Outgoing, error: AiogramError) -> None:
        log.warning("cannot be delivered", error=str(error))
        metrics.SENT.labels("refused").inc()
        undeliverable = messages.undeliverable(row.message, str(error), final=row.final)
        await self._record(outbox.fail(row, str(error), barred=_is_barred(error)), undeliverable)

    async def _be_quiet(self, row: Outgoing, seconds: float) -> None:
        log.warning("Telegram asks to wait", seconds=seconds)
        metrics.SENT.labels("retry_after").inc()
        await self._record(chats.be_quiet(row.chat_id, seconds))

    async def _try_later(self, row: Outgoing, error: AiogramError) -> None:
        seconds = min(2.0 ** min(row.attempts, 5), 30.0)
        log.warning("Telegram did not answer, trying again", error=str(error), seconds=seconds)
        if await self._record(last=outbox.try_later(row.id, str(error), seconds, GIVE_UP_HOURS)):
            await self._give_up(row, error)

    async def _move_chat(self, chat_id: int, new_chat_id: int) -> None:
        """Send what was not shown yet to the supergroup that a group has become; message ids start over there."""
        log.info("the group became a supergroup", chat_id=chat_id, new_chat_id=new_chat_id)
        await self._record(chats.take_language(new_chat_id, chat_id), outbox.move_chat(new_chat_id, chat_id))

    async def _record(self, *changes: Statement[Any], last: Statement[Row] | None = None) -> Row | None:
        """Commit what Telegram has done in one transaction; it cannot be asked again, so this waits for the database.

        Returns the row that the last statement gives.
        """
        while True:
            try:
                async with self._pool.connection() as connection, connection.durable():
                    for change in changes:
                        await connection.run(change)
                    return await connection.one(last) if last else None
            except LOST as error:
                log.warning("waiting for the database to record a sending", error=str(error))
                await asyncio.sleep(0.3)


def _is_barred(error: AiogramError) -> bool:
    """Tell whether Telegram refused because of the bot's standing in the chat, which may change."""
    return isinstance(error, TelegramForbiddenError) or any(reason in str(error) for reason in NO_RIGHT)
