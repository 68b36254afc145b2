"""Delivery by webhook: https://core.telegram.org/bots/api#setwebhook."""

import asyncio
import contextlib
import json
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import structlog

from aisha.sandbox.answers import bad_request
from aisha.sandbox.hub import Hub
from aisha.sandbox.state import Json, State
from aisha.sandbox.updates import TOPIC, Updates

log = structlog.get_logger(__name__)

LONGEST_DELAY_SECONDS = 60
ANSWER_SECONDS = 60
Reply = Callable[[aiohttp.ClientResponse], Awaitable[None]]


class Webhook:
    """Posts waiting updates to the bot.

    1. Wait for an update, or for an earlier failure's delay to end.
    2. Start a delivery for the first waiting update of each chat, up to `max_connections` at once.
    3. On 2xx forget the update and carry out the method in the answer; else wait 1, 2, 4 ... 60 s and repeat.
    """

    def __init__(self, state: State, hub: Hub, updates: Updates) -> None:
        self._state = state
        self._hub = hub
        self._updates = updates
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._delays: dict[str, tuple[float, float]] = {}

    def set(self, url: str, secret: str | None, connections: int, ip_address: str | None) -> None:
        """Turn delivery on.

        Raises:
            ApiError: the address or the secret is malformed.
        """
        if not re.match(r"https?://[^/\s]+", url):
            raise bad_request("bad webhook: Failed to resolve host: invalid URL")
        if secret and not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", secret):
            raise bad_request("secret token contains unallowed characters")
        self._delays.clear()
        self._state.put("webhook_error", None)
        self._state.put(
            "webhook",
            {"url": url, "secret": secret, "max_connections": connections, "ip_address": ip_address},
        )
        self._hub.wake(TOPIC)

    def remove(self) -> None:
        """Turn delivery off."""
        self._state.put("webhook", None)
        self._state.put("webhook_error", None)

    def info(self) -> Json:
        """Return the WebhookInfo object."""
        hook = self._state.get("webhook") or {}
        info = {"url": hook.get("url", ""), "has_custom_certificate": False}
        info["pending_update_count"] = self._updates.pending()
        if hook:
            info["max_connections"] = hook["max_connections"]
            info |= {"ip_address": hook["ip_address"]} if hook.get("ip_address") else {}
            info |= self._state.get("webhook_error") or {}
        if allowed := self._state.get("allowed_updates"):
            info["allowed_updates"] = allowed
        return info

    async def run(self, reply: Reply) -> None:
        """Deliver until cancelled; `reply` carries out the method within a webhook's answer."""
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as client:
            try:
                while True:
                    self._start_due(client, reply)
                    await self._hub.changed(TOPIC, self._pause())
            finally:
                for task in self._busy.values():
                    task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.gather(*self._busy.values(), return_exceptions=True)

    def _pause(self) -> float:
        due = [at for key, (at, _) in self._delays.items() if key not in self._busy]
        return max(min([at - time.monotonic() for at in due], default=3600), 0.01)

    def _start_due(self, client: aiohttp.ClientSession, reply: Reply) -> None:
        hook = self._state.get("webhook")
        if not hook:
            return
        seen = set(self._busy)
        for sequence, update in self._updates.waiting():
            key = _queue_of(update)
            if key in seen or len(self._busy) >= hook["max_connections"]:
                continue
            seen.add(key)
            if self._delays.get(key, (0, 0))[0] <= time.monotonic():
                task = asyncio.create_task(self._deliver(client, hook, key, sequence, update, reply))
                self._busy[key] = task

    async def _deliver(
        self, client: aiohttp.ClientSession, hook: Json, key: str, sequence: int, update: Json, reply: Reply
    ) -> None:
        headers = {"X-Telegram-Bot-Api-Secret-Token": hook["secret"]} if hook["secret"] else {}
        try:
            async with client.post(
                hook["url"], json=update, headers=headers, allow_redirects=False
            ) as answer:
                if 200 <= answer.status < 300:
                    await self._accepted(key, sequence, answer, reply)
                else:
                    self._failed(key, f"Wrong response from the webhook: {answer.status} {answer.reason}")
        except (aiohttp.ClientError, TimeoutError) as error:
            self._failed(key, "Connection timed out" if isinstance(error, TimeoutError) else _reason(error))
        finally:
            self._busy.pop(key, None)
            self._hub.wake(TOPIC)

    async def _accepted(self, key: str, sequence: int, answer: aiohttp.ClientResponse, reply: Reply) -> None:
        self._updates.delivered(sequence)
        self._delays.pop(key, None)
        try:
            await reply(answer)
        except Exception as error:
            log.warning("webhook answer not carried out", error=str(error))

    def _failed(self, key: str, reason: str) -> None:
        wait = min(self._delays.get(key, (0, 0.5))[1] * 2, LONGEST_DELAY_SECONDS)
        self._delays[key] = (time.monotonic() + wait, wait)
        error = {"last_error_date": int(time.time()), "last_error_message": reason}
        self._state.put("webhook_error", error)


def _reason(error: aiohttp.ClientError) -> str:
    return "Connection refused" if isinstance(error, aiohttp.ClientConnectorError) else "Connection failed"


def _queue_of(update: Json) -> str:
    """Return what keeps an update in line: its chat, or its sender."""
    for kind, body in update.items():
        if kind == "update_id" or not isinstance(body, dict):
            continue
        message: Any = body.get("message") if isinstance(body.get("message"), dict) else body
        chat = message.get("chat") or body.get("from") or {}
        return json.dumps(chat.get("id"))
    return "none"
