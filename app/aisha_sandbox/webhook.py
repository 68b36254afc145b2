"""Delivery by webhook: https://core.telegram.org/bots/api#setwebhook."""

import asyncio
import contextlib
import json
import re
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import structlog

from aisha_sandbox import destination
from aisha_sandbox.answers import bad_request
from aisha_sandbox.hub import Hub
from aisha_sandbox.state import Json, State
from aisha_sandbox.updates import TOPIC, Updates

log = structlog.get_logger(__name__)

LONGEST_DELAY_SECONDS = 60
ANSWER_SECONDS = 60
FIRST_DELAY_SECONDS = 1.0
Reply = Callable[[aiohttp.ClientResponse], Awaitable[None]]


@dataclass(frozen=True)
class Delay:
    """When a chat's first update may be posted again, and how long the last pause was, in seconds."""

    until: float = 0
    pause: float = 0


class Webhook:
    """Posts waiting updates to the bot.

    1. Wait for an update, or for an earlier failure's delay to end.
    2. Start a delivery for the first waiting update of each chat, up to `max_connections` at once.
    3. On 2xx forget the update and carry out the method in the answer; else repeat: at once, then after 2, 4 ... 60 s,
       or after the answer's `Retry-After` (Telegram's `WebhookActor.cpp`).
    """

    def __init__(self, state: State, hub: Hub, updates: Updates) -> None:
        self._state = state
        self._hub = hub
        self._updates = updates
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._delays: dict[str, Delay] = {}

    def set(
        self, url: str, secret: str | None, connections: int, ip_address: str | None, certificate: str | None
    ) -> None:
        """Turn delivery on; a certificate (PEM) that is given is the only one trusted.

        Raises:
            ApiError: the address, the fixed one, the certificate or the secret is malformed.
        """
        hook = destination.checked(
            {
                "url": url,
                "secret": secret,
                "max_connections": connections,
                "ip_address": ip_address,
                "certificate": certificate,
            }
        )
        if secret and not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", secret):
            raise bad_request("secret token contains unallowed characters")
        self._delays.clear()
        self._state.put("webhook_error", None)
        self._state.put("webhook", hook)
        self._hub.wake(TOPIC)

    def remove(self) -> None:
        """Turn delivery off."""
        self._state.put("webhook", None)
        self._state.put("webhook_error", None)

    def info(self) -> Json:
        """Return the WebhookInfo object."""
        hook = self._state.get("webhook") or {}
        info = {"url": hook.get("url", ""), "has_custom_certificate": bool(hook.get("certificate"))}
        info["pending_update_count"] = self._updates.pending()
        if hook:
            info["max_connections"] = hook["max_connections"]
            info |= {"ip_address": known} if (known := destination.address(hook)) else {}
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
        due = [delay.until for key, delay in self._delays.items() if key not in self._busy]
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
            if self._delays.get(key, Delay()).until <= time.monotonic():
                task = asyncio.create_task(self._deliver(client, hook, key, sequence, update, reply))
                self._busy[key] = task

    async def _deliver(
        self, client: aiohttp.ClientSession, hook: Json, key: str, sequence: int, update: Json, reply: Reply
    ) -> None:
        try:
            async with client.post(**destination.request(hook), json=update, allow_redirects=False) as answer:
                if 200 <= answer.status < 300:
                    await self._accepted(key, sequence, answer, reply)
                else:
                    reason = f"Wrong response from the webhook: {answer.status} {answer.reason}"
                    self._failed(key, reason, answer.headers.get("Retry-After", ""))
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

    def _failed(self, key: str, reason: str, retry_after: str = "") -> None:
        before = self._delays.get(key)
        pause = before.pause if before else FIRST_DELAY_SECONDS
        wait = float(retry_after) if retry_after.isdigit() else 0.0
        if before and not wait:
            wait = pause = min(pause * 2, LONGEST_DELAY_SECONDS)
        self._delays[key] = Delay(time.monotonic() + wait, pause)
        error = {"last_error_date": int(time.time()), "last_error_message": reason}
        self._state.put("webhook_error", error)


def _reason(error: aiohttp.ClientError) -> str:
    if isinstance(error.__cause__, ssl.SSLError):
        return f"SSL error {{{_words(error.__cause__)}}}"
    return "Connection refused" if isinstance(error, aiohttp.ClientConnectorError) else "Connection failed"


def _words(error: ssl.SSLError) -> str:
    words = (error.reason or "unknown").replace("_", " ").lower()
    why = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else None
    return f"{words}: {why}" if why else words


def _queue_of(update: Json) -> str:
    """Return the key within which updates stay in order: the chat's id, or the sender's."""
    for kind, body in update.items():
        if kind == "update_id" or not isinstance(body, dict):
            continue
        message: Any = body.get("message") if isinstance(body.get("message"), dict) else body
        chat = message.get("chat") or body.get("from") or {}
        return json.dumps(chat.get("id"))
    return "none"
