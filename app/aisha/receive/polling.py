"""Long polling: asks Telegram for updates, commits them, and only then moves the offset."""

import asyncio
from typing import Any

import structlog
from aiogram import Bot
from aiogram.exceptions import (
    TelegramConflictError,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
    TelegramUnauthorizedError,
)
from aiogram.methods.base import TelegramMethod

from aisha import metrics
from aisha.database import leases, receiving
from aisha.database.connect import Pool, Wakeups
from aisha.database.leases import Lease, LostLeaseError
from aisha.database.locks import locked
from aisha.database.presence import LapsedError
from aisha.errors import SettingsError
from aisha.receive.inbox import commit

log = structlog.get_logger(__name__)

POLL_SECONDS = 30
BATCH = 100
ALLOWED_UPDATES = ["message", "edited_message", "callback_query", "my_chat_member"]


class GetRawUpdates(TelegramMethod[list[dict[str, Any]]]):
    """getUpdates without a model: one update that cannot be parsed must not hide the ninety-nine beside it."""

    __returning__ = list[dict[str, Any]]
    __api_method__ = "getUpdates"

    offset: int | None = None
    limit: int = BATCH
    timeout: int = POLL_SECONDS
    allowed_updates: list[str] = ALLOWED_UPDATES


class Poller:
    """Receives updates by polling, while this bot holds the lease for it.

    1. With a new lease it starts where Telegram is, not where an earlier term ended.
    2. getUpdates waits for updates; they are committed to the inbox if this bot still holds the lease.
    3. The next call's offset acknowledges them. After a crash in between they come again, and the inbox knows them.
    4. A webhook in the way is removed, keeping its updates, unless the recorded mode has become `webhook`.
    """

    def __init__(self, bot: Bot, pool: Pool, wakeups: Wakeups, lease: Lease) -> None:
        self._bot = bot
        self._pool = pool
        self._wakeups = wakeups
        self._lease = lease
        self._term: int | None = None
        self._offset: int | None = None
        self._caught_up = False
        self._last_success: float | None = None

    @property
    def late(self) -> bool:
        """Whether it should poll and has had no answer for a long time."""
        if self._lease.token is None:
            return False
        polled = self._last_success if self._term == self._lease.token else None
        return polled is None or asyncio.get_running_loop().time() - polled > 2 * POLL_SECONDS + 10

    async def step(self) -> None:
        """Receive one batch.

        Raises:
            SettingsError: the Bot API server refuses the token.
            LapsedError: this process may not act now.
        """
        await self._lease.taken()
        self._begin_term()
        try:
            updates = await self._ask()
            await self._keep(updates)
        except LostLeaseError:
            log.info("another bot has taken the lease; what was received here is left to it")
            await asyncio.sleep(0.5)
        except TelegramUnauthorizedError:
            raise refused_token() from None
        except TelegramConflictError as error:
            await self._conflict(error)
        except TelegramRetryAfter as error:
            metrics.POLL_ERRORS.labels("retry_after").inc()
            await asyncio.sleep(error.retry_after)
        except (TelegramNetworkError, TelegramServerError) as error:
            metrics.POLL_ERRORS.labels("network").inc()
            log.warning("the Bot API server does not answer", error=error.message)
            await asyncio.sleep(1)

    def _begin_term(self) -> None:
        if self._term != self._lease.token:
            self._term, self._offset, self._caught_up, self._last_success = (
                self._lease.token,
                None,
                False,
                None,
            )

    async def _ask(self) -> list[dict[str, Any]]:
        if not self._lease.held:
            raise LapsedError("the lease is not renewed")
        seconds = POLL_SECONDS if self._last_success else 0  # the first answer shows that all is well
        asked = GetRawUpdates(offset=self._offset, timeout=seconds)
        updates = await self._bot(asked, request_timeout=POLL_SECONDS + 10)
        self._last_success = asyncio.get_running_loop().time()
        return updates

    async def _keep(self, updates: list[dict[str, Any]]) -> None:
        if updates:
            await commit(self._pool, updates, "polling", self._lease)
            self._offset = max(update["update_id"] for update in updates) + 1
            self._wakeups.wake("handle")
        if (caught_up := len(updates) < BATCH) != self._caught_up:
            async with self._pool.connection() as connection:
                await connection.run(leases.note_caught_up(self._term, caught_up=caught_up))
            self._caught_up = caught_up

    async def _conflict(self, error: TelegramConflictError) -> None:
        """Handle a getUpdates that ended ours, or a webhook that is set; both can happen after a handover."""
        if not self._lease.held:
            return
        if "webhook" in error.message.lower():
            await self._remove_webhook()
            return
        metrics.POLL_ERRORS.labels("conflict").inc()
        log.error("another program polls with this bot's token; stop it", error=error.message)
        await asyncio.sleep(3)

    async def _remove_webhook(self) -> None:
        """Remove a webhook, keeping its updates, unless it is being set or has become the recorded mode."""
        async with locked(self._pool, receiving.LOCK) as connection:
            if connection and await connection.one(receiving.mode()) != "webhook":
                log.warning("a webhook was set, removing it: this bot polls")
                await self._bot.delete_webhook(drop_pending_updates=False)
                return
        await asyncio.sleep(0.2)


def refused_token() -> SettingsError:
    """Return the error of a token that the Bot API server does not know."""
    return SettingsError("AISHA_BOT_TOKEN is refused by the Bot API server; ask @BotFather for it")
