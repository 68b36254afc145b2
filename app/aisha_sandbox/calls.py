"""The log of Bot API calls, for tests and for curious people; it holds no token."""

import json
import time
from typing import Any

from aisha_sandbox.hub import Hub
from aisha_sandbox.state import Json, State, dumps

TOPIC = "calls"
KEPT = 50_000


class Calls:
    """Every finished call, numbered in the order of finishing."""

    def __init__(self, state: State, hub: Hub) -> None:
        self._state = state
        self._hub = hub

    def add(
        self, method: str, params: Json, started: float, status: int | None, answer: Any, fault: str | None
    ) -> None:
        """Record a finished call; status None means that the connection was dropped."""
        chat_id = params.get("chat_id")
        chat = int(str(chat_id)) if str(chat_id).lstrip("-").isdigit() else None
        cursor = self._state.run(
            "INSERT INTO calls (at, method, chat_id, params, status, answer, seconds, fault)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            started, method, chat, dumps(params), status, dumps(answer), time.time() - started, fault,
        )  # fmt: skip
        if cursor.lastrowid and cursor.lastrowid % 1000 == 0:
            self._state.run("DELETE FROM calls WHERE sequence < ?", cursor.lastrowid - KEPT)
        self._hub.wake(TOPIC)

    def since(self, sequence: int, method: str | None, chat_id: int | None, limit: int) -> list[Json]:
        """Return the calls after a sequence number, oldest first."""
        rows = self._state.rows(
            "SELECT * FROM calls WHERE sequence > ? AND (? IS NULL OR lower(method) = lower(?))"
            " AND (? IS NULL OR chat_id = ?) ORDER BY sequence LIMIT ?",
            sequence, method, method, chat_id, chat_id, limit,
        )  # fmt: skip
        return [
            {
                "sequence": row["sequence"],
                "at": row["at"],
                "seconds": row["seconds"],
                "method": row["method"],
                "params": json.loads(row["params"]),
                "status": row["status"],
                "answer": json.loads(row["answer"]),
                "fault": row["fault"],
            }
            for row in rows
        ]

    def last(self) -> int:
        """Return the newest sequence number."""
        row = self._state.row("SELECT max(sequence) FROM calls")
        return int(row[0] or 0) if row else 0
