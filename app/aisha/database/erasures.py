"""The table `erasures`: who has asked to be forgotten, until that is done and said."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row

from aisha.database.statement import Statement, columns


@dataclass(frozen=True, slots=True)
class Erasure:
    """A row: everything of a person up to that update; `notice` is the row of the outbox that says how it stands."""

    id: int
    user_id: int
    update_id: int
    interface: str
    notice: int
    asked_at: datetime
    done_at: datetime | None

    @property
    def values(self) -> dict[str, Any]:
        """What `covers` and `precedes` need."""
        return asdict(self)

    def covers(self, messages: str) -> str:
        """Return the condition that a row of `messages`, under this name, is this person's and precedes the request."""
        mine = f"{messages}.user_id = %(user_id)s OR {messages}.chat_id = %(user_id)s"
        return f"({mine}) AND {self.precedes(messages)}"

    def precedes(self, table: str) -> str:
        """Return the condition that a row precedes the request; Telegram sometimes starts its numbers anew."""
        return f"({table}.received_at <= %(asked_at)s OR {table}.update_id <= %(update_id)s)"


def add(user_id: int, update_id: int, interface: str, notice: int) -> Statement[Erasure]:
    """Add a request."""
    return Statement(
        f"""
        INSERT INTO erasures (user_id, update_id, interface, notice)
        VALUES (%(user_id)s, %(update_id)s, %(interface)s, %(notice)s) RETURNING {columns(Erasure)}
        """,
        {"user_id": user_id, "update_id": update_id, "interface": interface, "notice": notice},
        class_row(Erasure),
        wakes=("erase",),
    )


def all_open() -> Statement[Erasure]:
    """Select every request."""
    return Statement(f"SELECT {columns(Erasure)} FROM erasures ORDER BY id", rows=class_row(Erasure))


def done(erasure: int) -> Statement[None]:
    """Record that everything is erased, and only this is still to be said."""
    return Statement("UPDATE erasures SET done_at = now() WHERE id = %(id)s", {"id": erasure})


def said(erasure: int) -> Statement[int]:
    """Delete a request once the person reads that it was done, and return the notice's row."""
    return Statement(
        """
        DELETE FROM erasures WHERE id = %(id)s AND NOT EXISTS (
            SELECT FROM outbox WHERE outbox.id = notice AND shown < version AND failed_at IS NULL)
        RETURNING notice
        """,
        {"id": erasure},
    )
