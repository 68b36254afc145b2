"""Failures on demand, and Telegram's rates as an option."""

import json
import time
from collections import defaultdict, deque
from typing import Any

from aisha_sandbox.answers import ApiError, bad_request, too_many
from aisha_sandbox.state import Json, State, dumps

KINDS = {"error", "hang", "drop_before", "drop_after"}
REASONS = {
    400: "Bad Request: injected by the sandbox",
    401: "Unauthorized",
    403: "Forbidden: bot was blocked by the user",
    409: "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
    500: "Internal Server Error",
    502: "Bad Gateway",
}


class Faults:
    """Rules that spoil the next calls of a method; `*` is any, `download` is GET /file/..."""

    def __init__(self, state: State) -> None:
        self._state = state

    def add(self, rule: Json) -> Json:
        """Record a rule.

        Raises:
            ApiError: its kind is unknown.
        """
        if rule.get("kind") not in KINDS:
            raise bad_request(f"kind must be one of {', '.join(sorted(KINDS))}")
        chat_id = rule.get("chat_id")
        cursor = self._state.run(
            "INSERT INTO faults (method, chat_id, remaining, rule) VALUES (?, ?, ?, ?)",
            str(rule.get("method", "*")).lower(), chat_id, int(rule.get("times", 1)), dumps(rule),
        )  # fmt: skip
        return rule | {"id": cursor.lastrowid}

    def list(self) -> list[Json]:
        """Return the rules that still have calls to spoil."""
        rows = self._state.rows("SELECT * FROM faults WHERE remaining > 0 ORDER BY id")
        return [json.loads(r["rule"]) | {"id": r["id"], "remaining": r["remaining"]} for r in rows]

    def clear(self) -> None:
        """Forget all rules."""
        self._state.run("DELETE FROM faults")

    def take(self, method: str, chat_id: Any) -> Json | None:
        """Return the oldest rule for this call, used once more."""
        row = self._state.row(
            "SELECT id, rule FROM faults WHERE remaining > 0 AND method IN (?, '*')"
            " AND (chat_id IS NULL OR chat_id = ?) ORDER BY id LIMIT 1",
            method.lower(), chat_id,
        )  # fmt: skip
        if row is None:
            return None
        self._state.run("UPDATE faults SET remaining = remaining - 1 WHERE id = ?", row["id"])
        rule: Json = json.loads(row["rule"])
        return rule


def error(rule: Json) -> ApiError:
    """Return the answer of a rule of kind `error`."""
    code = int(rule.get("code", 500))
    if code == 429:
        return too_many(int(rule.get("retry_after", 1)))
    return ApiError(code, rule.get("description") or REASONS.get(code, "Injected by the sandbox"))


class Rates:
    """Telegram's rates: 1 message a second in a chat, 20 a minute in a group, 30 a second in all."""

    def __init__(self) -> None:
        self.enforced = False
        self._sent: dict[int, deque[float]] = defaultdict(deque)

    def check(self, chat_id: int) -> None:
        """Count one message to a chat.

        Raises:
            ApiError: it is too early, when rates are enforced.
        """
        if not self.enforced:
            return
        windows = [(0, 30, 1.0), (chat_id, 20, 60.0) if chat_id < 0 else (chat_id, 3, 3.0)]
        for key, most, seconds in windows:
            sent, instant = self._sent[key], time.monotonic()
            while sent and sent[0] <= instant - seconds:
                sent.popleft()
            if len(sent) >= most:
                raise too_many(max(1, round(sent[0] + seconds - instant)))
        for key, _, _ in windows:
            self._sent[key].append(time.monotonic())
