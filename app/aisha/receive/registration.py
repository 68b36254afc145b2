"""`aisha webhook`: where Telegram delivers updates, and making that agree with AISHA_BOT_MODE."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import click
from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import AiogramError, TelegramUnauthorizedError
from aiogram.types import BufferedInputFile, WebhookInfo

from aisha import logs, settings
from aisha.database import locks, receiving
from aisha.database.connect import LOST, Connection, connect_async
from aisha.errors import ServiceError
from aisha.receive.polling import ALLOWED_UPDATES, refused_token
from aisha.settings import Settings

MAX_CONNECTIONS = 100
"""The maximum of posts that Telegram makes at the same time (Bot API, setWebhook)."""


class Registration:
    """Makes Telegram's side agree with the settings.

    1. It holds a lock, so that no poller removes the webhook meanwhile.
    2. It records the mode: bots of another mode stop receiving within a second.
    3. It sets or deletes the webhook if that changes anything. Telegram keeps what it has not delivered, and an
       update that is delivered both ways is in the inbox once.
    """

    def __init__(self, loaded: Settings, bot: Bot, connection: Connection) -> None:
        self._settings = loaded
        self._bot = bot
        self._connection = connection
        self._ip = str(loaded.webhook_ip or "")
        self._certificate = loaded.webhook_certificate.read_bytes() if loaded.webhook_certificate else b""

    async def sync(self) -> str:
        """Make Telegram's side agree and return what was done, in words."""
        await self._connection.run(locks.acquire(receiving.LOCK))
        try:
            await self._connection.run(receiving.record_mode(self._settings.bot_mode))
            known = await self._bot.get_webhook_info()
            return await (self._set(known) if self._settings.bot_mode == "webhook" else self._delete(known))
        finally:
            await self._connection.run(locks.release(receiving.LOCK))

    async def _set(self, known: WebhookInfo) -> str:
        differing = await self._differing(known)
        if not differing:
            return f"unchanged: Telegram posts to {self._url}"
        await self._bot.set_webhook(
            self._url,
            certificate=BufferedInputFile(self._certificate, "webhook.pem") if self._certificate else None,
            ip_address=self._ip or None,
            max_connections=MAX_CONNECTIONS,
            allowed_updates=ALLOWED_UPDATES,
            secret_token=self._settings.secret("webhook_secret"),
            drop_pending_updates=False,
        )
        await self._connection.run(receiving.record_digest(":".join(self._digests).rstrip(":")))
        return f"webhook set to {self._url} (differed: {', '.join(differing)})"

    async def _delete(self, known: WebhookInfo) -> str:
        if not known.url:
            return "unchanged: the bot polls"
        await self._bot.delete_webhook(drop_pending_updates=False)
        return f"webhook {known.url} deleted: the bot polls ({known.pending_update_count} updates wait)"

    async def _differing(self, known: WebhookInfo) -> list[str]:
        recorded = (await self._connection.one(receiving.digest()) or "").split(":")
        pairs = zip([*recorded, "", ""], self._digests, strict=False)
        secret, ip, certificate = (before == now for before, now in pairs)
        same = {
            "address": known.url == self._url,
            "kinds of updates": sorted(known.allowed_updates or []) == sorted(ALLOWED_UPDATES),
            "connections": known.max_connections == MAX_CONNECTIONS,
            "secret": secret,
            "fixed address": ip and self._ip in ("", known.ip_address),
            "certificate": certificate and known.has_custom_certificate == bool(self._certificate),
        }
        return [what for what, agrees in same.items() if not agrees]

    @property
    def _url(self) -> str:
        return str(self._settings.webhook_url)

    @property
    def _digests(self) -> list[str]:
        """Digests of what Telegram does not report back, useless without the bot's token; empty for what is not set.

        It reports neither the secret nor the certificate, and an `ip_address` even where none is fixed. They are
        recorded with colons between them and none at the end: the secret's digest alone where it is the only one.
        """
        key = self._settings.secret("bot_token").encode()
        kept = [self._settings.secret("webhook_secret").encode(), self._ip.encode(), self._certificate]
        return [hmac.new(key, one, hashlib.sha256).hexdigest() if one else "" for one in kept]


@asynccontextmanager
async def _telegram(loaded: Settings) -> AsyncIterator[Bot]:
    """Yield a bot, and turn its errors into messages for the operator.

    Raises:
        SettingsError, ServiceError: Telegram refuses the token or the webhook, or cannot be reached.
    """
    session = AiohttpSession(api=TelegramAPIServer.from_base(loaded.api_url))
    try:
        async with Bot(loaded.secret("bot_token"), session=session) as bot:
            yield bot
    except TelegramUnauthorizedError:
        raise refused_token() from None
    except AiogramError as error:
        raise ServiceError(f"Telegram: {error}") from None


async def _sync(loaded: Settings) -> str:
    try:
        async with _telegram(loaded) as bot, await connect_async(loaded.database_address) as connection:
            return await Registration(loaded, bot, connection).sync()
    except LOST as error:
        raise ServiceError(f"cannot reach the database of AISHA_DATABASE_URL: {error}") from None


async def _show(loaded: Settings) -> WebhookInfo:
    async with _telegram(loaded) as bot:
        return await bot.get_webhook_info()


@click.group("webhook")
def webhook_command() -> None:
    """Show where Telegram delivers updates, or change it."""


@webhook_command.command("sync")
def sync_command() -> None:
    """Make Telegram's side agree with AISHA_BOT_MODE; change nothing that agrees already."""
    loaded = settings.load()
    logs.configure(loaded, "webhook")
    loaded.required("bot_token", "database_url")
    if loaded.bot_mode == "webhook":
        loaded.required("webhook_url", "webhook_secret")
    click.echo(asyncio.run(_sync(loaded)))


@webhook_command.command("show")
def show_command() -> None:
    """Print Telegram's WebhookInfo as JSON."""
    loaded = settings.load()
    logs.configure(loaded, "webhook")
    info = asyncio.run(_show(loaded))
    click.echo(json.dumps(info.model_dump(mode="json", exclude_none=True)))
