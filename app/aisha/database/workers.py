"""The table `workers`: worker hosts, each with a row that it renews every ten seconds."""

from typing import Any

from psycopg.rows import dict_row

from aisha.database.statement import Statement

ALIVE = "seen_at > now() - interval '45 seconds'"
KNOWN = "seen_at > now() - interval '1 hour'"
"""A host that is away for a moment still counts for its languages."""


def seen(name: str, concurrency: int, languages: list[str]) -> Statement[None]:
    """Record that a host is alive, how many recordings it decodes at once, and which languages it recognises."""
    return Statement(
        """
        INSERT INTO workers (name, concurrency, languages, seen_at)
        VALUES (%(name)s, %(concurrency)s, %(languages)s, now())
        ON CONFLICT (name) DO UPDATE
        SET concurrency = excluded.concurrency, languages = excluded.languages, seen_at = now()
        """,
        {"name": name, "concurrency": concurrency, "languages": languages},
        wakes=("dispatch",),
    )


def leave(name: str) -> Statement[None]:
    """Remove a host that stops."""
    return Statement("DELETE FROM workers WHERE name = %(name)s", {"name": name})


def capacity() -> Statement[int]:
    """Count how many recordings all living hosts decode at once."""
    return Statement(f"SELECT coalesce(sum(concurrency), 0)::int FROM workers WHERE {ALIVE}")


def languages() -> Statement[str]:
    """Select the languages that any host recognises."""
    return Statement(f"SELECT DISTINCT unnest(languages) FROM workers WHERE {KNOWN}")


def known() -> Statement[dict[str, Any]]:
    """Describe each host of the last hour, and whether it is `alive`."""
    return Statement(
        f"SELECT name, concurrency, languages, {ALIVE} AS alive FROM workers WHERE {KNOWN} ORDER BY name",
        rows=dict_row,
    )


def forget() -> Statement[None]:
    """Delete hosts that were not seen for a day."""
    return Statement("DELETE FROM workers WHERE seen_at < now() - interval '1 day'")
