"""The queue of updates, and getUpdates: https://core.telegram.org/bots/api#getting-updates.

An update stays until a higher offset confirms it, or for 24 hours; a second getUpdates ends the first.
"""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

from aisha_sandbox.answers import ApiError
from aisha_sandbox.hub import Hub
from aisha_sandbox.state import Json, State, dumps

TOPIC = "updates"
KEPT_SECONDS = 24 * 3600
NOT_BY_DEFAULT = {"chat_member", "message_reaction", "message_reaction_count"}
KINDS = {
    "message", "edited_message", "channel_post", "edited_channel_post", "business_connection",
    "business_message",
    "edited_business_message", "deleted_business_messages", "message_reaction", "message_reaction_count",
    "inline_query", "chosen_inline_result", "callback_query", "shipping_query", "pre_checkout_query",
    "purchased_paid_media", "poll", "poll_answer", "my_chat_member", "chat_member", "chat_join_request",
    "chat_boost", "removed_chat_boost",
}  # fmt: skip
POLL_CONFLICT = (
    "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
)
WEBHOOK_CONFLICT = (
    "Conflict: can't use getUpdates method while webhook is active;"
    " use deleteWebhook to delete the webhook first"
)


class Updates:
    """Updates on their way to the bot, in order."""

    def __init__(self, state: State, hub: Hub) -> None:
        self._state = state
        self._hub = hub
        self._poller: asyncio.Event | None = None
        self._reason = ApiError(409, POLL_CONFLICT)

    def push(self, kind: str, payload: Json) -> int | None:
        """Queue an update and return its id; None when the bot has not asked for this kind."""
        if not self._wanted(kind):
            return None
        with self._state.transaction():
            update_id = self._state.next("update_id", 100_000_001)
            self._insert(update_id, {"update_id": update_id, kind: payload}, injected=False)
        self._hub.wake(TOPIC)
        return update_id

    def inject(self, update: Json) -> int:
        """Queue an update verbatim; an id of its own may repeat one that was delivered."""
        with self._state.transaction():
            update_id = update.get("update_id")
            if update_id is None:
                update_id = self._state.next("update_id", 100_000_001)
            elif update_id >= int(self._state.get("update_id", 100_000_001)):
                self._state.put("update_id", update_id + 1)
            self._insert(update_id, {"update_id": update_id} | update, injected=True)
        self._hub.wake(TOPIC)
        return int(update_id)

    def _insert(self, update_id: int, body: Json, *, injected: bool) -> None:
        self._state.run("DELETE FROM updates WHERE at < ?", time.time() - KEPT_SECONDS)
        self._state.run(
            "INSERT INTO updates (update_id, body, injected, at) VALUES (?, ?, ?, ?)",
            update_id, dumps(body), int(injected), time.time(),
        )  # fmt: skip

    def _wanted(self, kind: str) -> bool:
        allowed = self._state.get("allowed_updates")
        return kind in allowed if allowed else kind not in NOT_BY_DEFAULT

    def allow(self, kinds: Any) -> None:
        """Remember `allowed_updates`; an empty list means the default, None changes nothing."""
        if isinstance(kinds, list):
            known = [kind for kind in kinds if kind in KINDS]
            self._state.put("allowed_updates", known or None)

    def pending(self) -> int:
        """Return how many updates wait."""
        row = self._state.row("SELECT count(*) FROM updates")
        return int(row[0]) if row else 0

    def drop(self) -> None:
        """Forget all waiting updates."""
        self._state.run("DELETE FROM updates")

    async def get(self, offset: int, limit: int, seconds: float, connected: Callable[[], bool]) -> list[Json]:
        """Return updates from `offset` on, waiting for the first one; none to a caller who has left.

        Raises:
            ApiError: a webhook is set, or another getUpdates came meanwhile.
        """
        if self._state.get("webhook"):
            raise ApiError(409, WEBHOOK_CONFLICT)
        self.interrupt(ApiError(409, POLL_CONFLICT))
        mine = self._poller = asyncio.Event()
        self._confirm(offset)
        await self._hub.wait(TOPIC, lambda: mine.is_set() or self.pending() > 0, seconds)
        if mine.is_set():
            raise self._reason
        self._poller = None
        return self._take(limit) if connected() else []

    def interrupt(self, reason: ApiError) -> None:
        """End a waiting getUpdates with this answer."""
        if self._poller:
            self._reason = reason
            self._poller.set()
            self._poller = None
            self._hub.wake(TOPIC)

    def _confirm(self, offset: int) -> None:
        """Forget updates below the offset; one injected with an old id is first delivered once."""
        if offset < 0:
            row = self._state.row(
                "SELECT update_id FROM updates ORDER BY update_id DESC LIMIT 1 OFFSET ?", -offset - 1
            )
            offset = int(row[0]) if row else 0
        if offset > 0:
            self._state.run(
                "DELETE FROM updates WHERE update_id < ? AND (injected = 0 OR delivered = 1)", offset
            )

    def _take(self, limit: int) -> list[Json]:
        rows = self._state.rows(
            "SELECT sequence, body, injected, delivered FROM updates ORDER BY update_id, sequence LIMIT ?",
            limit,
        )
        fresh = [row["sequence"] for row in rows if row["injected"] and not row["delivered"]]
        for sequence in fresh:
            self._state.run("UPDATE updates SET delivered = 1 WHERE sequence = ?", sequence)
        return [json.loads(row["body"]) for row in rows]

    def waiting(self) -> list[tuple[int, Json]]:
        """Return the sequence and body of the first updates for a webhook."""
        rows = self._state.rows("SELECT sequence, body FROM updates ORDER BY sequence LIMIT 200")
        return [(row["sequence"], json.loads(row["body"])) for row in rows]

    def delivered(self, sequence: int) -> None:
        """Forget an update that a webhook took."""
        self._state.run("DELETE FROM updates WHERE sequence = ?", sequence)
