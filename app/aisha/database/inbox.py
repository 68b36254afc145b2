"""The table `inbox`: what Telegram sent, committed before it is acknowledged."""

from dataclasses import dataclass
from typing import Any

from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from aisha.database.erasures import Erasure
from aisha.database.statement import Statement, columns


@dataclass(frozen=True, slots=True)
class Unhandled:
    """An update, how often it was tried, and chat and message id of the new message that it brings, if any."""

    update_id: int
    update: dict[str, Any]
    attempts: int
    chat_id: int | None
    message_id: int | None


def add(
    update_id: int, update: dict[str, Any], chat_id: int | None, message_id: int | None
) -> Statement[None]:
    """Add an update; a known one changes nothing."""
    return Statement(
        """
        INSERT INTO inbox (update_id, update, chat_id, message_id)
        VALUES (%(update_id)s, %(update)s, %(chat_id)s, %(message_id)s)
        ON CONFLICT (update_id) DO NOTHING
        """,
        {"update_id": update_id, "update": Jsonb(update), "chat_id": chat_id, "message_id": message_id},
    )


def next_unhandled() -> Statement[Unhandled]:
    """Lock the oldest unhandled update until the transaction ends."""
    return Statement(
        f"""
        SELECT {columns(Unhandled)} FROM inbox WHERE handled_at IS NULL
        ORDER BY update_id LIMIT 1 FOR UPDATE SKIP LOCKED
        """,
        rows=class_row(Unhandled),
    )


def tried(update_id: int, error: str | None, *, handled: bool) -> Statement[None]:
    """Count an attempt; an update that it did not handle is tried again."""
    return Statement(
        """
        UPDATE inbox SET attempts = attempts + 1, error = %(error)s,
            handled_at = CASE WHEN %(handled)s THEN now() END
        WHERE update_id = %(update_id)s
        """,
        {"update_id": update_id, "error": error, "handled": handled},
    )


def story(update_id: int) -> Statement[dict[str, Any]]:
    """Select when an update was received and handled, and its last error."""
    sql = "SELECT received_at, handled_at, error FROM inbox WHERE update_id = %(update_id)s"
    return Statement(sql, {"update_id": update_id}, dict_row)


def unhandled() -> Statement[int]:
    """Count the updates that are not handled."""
    return Statement("SELECT count(*) FILTER (WHERE handled_at IS NULL) FROM inbox")


def probe() -> Statement[None]:
    """Read a row, to check that the database answers."""
    return Statement("SELECT 1 FROM inbox LIMIT 1")


def forget() -> Statement[None]:
    """Delete what was handled a week ago: Telegram repeats an update for a day at most, so that is ample."""
    return Statement("DELETE FROM inbox WHERE handled_at < now() - interval '7 days'")


def unhandled_of(erasure: Erasure) -> Statement[int]:
    """Count the updates that tell of a person and are not handled."""
    sql = f"SELECT count(*) FROM inbox WHERE handled_at IS NULL AND {_tells_of(erasure)}"
    return Statement(sql, erasure.values)


def erase(erasure: Erasure) -> Statement[None]:
    """Empty every update that tells of a person: its own, and replies and forwards of others.

    The number stays, so that an update that Telegram repeats is still known.
    """
    return Statement(
        f"""
        UPDATE inbox SET update = '{{}}', chat_id = NULL, message_id = NULL, error = NULL,
            handled_at = coalesce(handled_at, now())
        WHERE {_tells_of(erasure)}
        """,
        erasure.values,
    )


def _tells_of(erasure: Erasure) -> str:
    return f"""
        {erasure.precedes("inbox")}
        AND jsonb_path_exists(update, '$.** ? (@.id == $id)', jsonb_build_object('id', %(user_id)s))
    """
