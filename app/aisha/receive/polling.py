"""Long polling: asks Telegram for updates, commits them, and only then moves the offset."""

import asyncio
from typing import Any

import structlog
from aiogram import Bot
from aiogram.exceptions import (
    TelegramBadRequest,
    TelegramConflictError,
    TelegramNetworkError,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramServerError,
    TelegramUnauthorizedError,
)
from aiogram.methods.base import TelegramMethod

from aisha import metrics
from aisha.database.connect import Pool, Wakeups
from aisha.errors import SettingsError
from aisha.receive.inbox import commit

log = structlog.get_logger(__name__)

POLL_SECONDS = 30
BATCH = 100
ALLOWED_UPDATES = ["message", "edited_message", "callback_query"]


class GetRawUpdates(TelegramMethod[list[dict[str, Any]]]):
    """getUpdates without a model: one update that cannot be parsed must not hide the ninety-nine beside it."""

    __returning__ = list[dict[str, Any]]
    __api_method__ = "getUpdates"

    offset: int | None = None
    limit: int = BATCH
    timeout: int = POLL_SECONDS
    allowed_updates: list[str] = ALLOWED_UPDATES


class Poller:
    """Receives updates by polling.

    1. A webhook that may be set is removed, keeping its updates.
    2. getUpdates waits for updates; they are committed to the inbox.
    3. The next call's offset acknowledges them. A bot killed in between gets them again, and the inbox knows them.
    """

    def __init__(self, bot: Bot, pool: Pool, wakeups: Wakeups) -> None:
        self._bot = bot
        self._pool = pool
        self._wakeups = wakeups
        self._offset: int | None = None
        self._webhook_removed = False
        self.last_success: float | None = None
        self.caught_up = False

    async def step(self) -> None:
        """Receive one batch.

        Raises:
            SettingsError: the Bot API server refuses the token.
        """
        try:
            if not self._webhook_removed:
                await self._remove_webhook()
            seconds = POLL_SECONDS if self.last_success else 0  # the first answer tells that all is well
            updates = await self._bot(
                GetRawUpdates(offset=self._offset, timeout=seconds), request_timeout=POLL_SECONDS + 10
            )
        except TelegramUnauthorizedError:
            raise SettingsError(
                "AISHA_BOT_TOKEN is refused by the Bot API server; ask @BotFather for it"
            ) from None
        except TelegramConflictError as error:
            metrics.POLL_ERRORS.labels("conflict").inc()
            log.error("another program polls with this bot's token; stop it", error=error.message)
            self._webhook_removed = False
            await asyncio.sleep(3)
            return
        except TelegramRetryAfter as error:
            metrics.POLL_ERRORS.labels("retry_after").inc()
            await asyncio.sleep(error.retry_after)
            return
        except (TelegramNetworkError, TelegramServerError) as error:
            metrics.POLL_ERRORS.labels("network").inc()
            log.warning("the Bot API server does not answer", error=error.message)
            await asyncio.sleep(1)
            return
        self.last_success = asyncio.get_running_loop().time()
        if updates:
            await commit(self._pool, updates, source="polling")
            self._offset = max(update["update_id"] for update in updates) + 1
            self._wakeups.wake("handle")
        self.caught_up = len(updates) < BATCH

    async def _remove_webhook(self) -> None:
        """Remove a webhook, keeping its updates; a server that knows no webhooks has none."""
        try:
            await self._bot.delete_webhook(drop_pending_updates=False)
        except (TelegramBadRequest, TelegramNotFound) as error:
            log.warning("the Bot API server removes no webhook", error=error.message)
        self._webhook_removed = True
