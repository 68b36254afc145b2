"""The table `bots`: bot processes, each with a row that it renews every second and an id that its sessions carry."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.rows import class_row, dict_row

from aisha.database.statement import Statement

TTL_SECONDS = 5
"""How long a bot's row and its leases are valid after a renewal."""

PREFIX = "aisha-bot/"
"""What every bot's id begins with."""

EXPIRES = f"clock_timestamp() + interval '{TTL_SECONDS} seconds'"


@dataclass(frozen=True, slots=True)
class Silent:
    """Another bot whose row has lapsed, or that has no session."""

    id: str
    lapsed: bool


def join(bot: str, mode: str) -> Statement[None]:
    """Add a bot."""
    sql = f"INSERT INTO bots (id, mode, expires) VALUES (%(id)s, %(mode)s, {EXPIRES})"
    return Statement(sql, {"id": bot, "mode": mode})


def present(bot: str) -> Statement[str]:
    """Select the bot's id, unless it was removed."""
    return Statement("SELECT id FROM bots WHERE id = %(id)s", {"id": bot})


def renew(bot: str) -> Statement[None]:
    """Renew a bot's row; none is found when it was removed."""
    return Statement(f"UPDATE bots SET expires = {EXPIRES} WHERE id = %(id)s", {"id": bot})


def silent(besides: str) -> Statement[Silent]:
    """Select the other bots that show no sign of life."""
    return Statement(
        """
        SELECT id, expires < clock_timestamp() AS lapsed FROM bots
        WHERE id <> %(besides)s AND (expires < clock_timestamp() OR NOT EXISTS (
            SELECT FROM pg_stat_activity WHERE application_name = id AND datname = current_database()))
        """,
        {"besides": besides},
        class_row(Silent),
    )


def remove(gone: Sequence[str], lapsed: Sequence[str] = ()) -> Statement[str]:
    """Delete the rows of bots that are gone, and of those whose rows are still lapsed; return their ids."""
    return Statement(
        """
        DELETE FROM bots WHERE id = ANY(%(gone)s) OR id = ANY(%(lapsed)s) AND expires < clock_timestamp()
        RETURNING id
        """,
        {"gone": list(gone), "lapsed": list(lapsed)},
    )


def end_sessions() -> Statement[None]:
    """End the sessions of removed bots, and with them their locks and transactions."""
    return Statement(
        """
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name LIKE %(pattern)s AND datname = current_database() AND usename = current_user
            AND NOT EXISTS (SELECT FROM bots WHERE id = application_name)
        """,
        {"pattern": f"{PREFIX}%"},
    )


def known() -> Statement[dict[str, Any]]:
    """Describe each bot, the leases that it holds, and whether it is `alive`."""
    return Statement(
        """
        SELECT id, mode, expires > clock_timestamp() AS alive, array(
            SELECT name FROM leases WHERE holder = bots.id AND leases.expires > clock_timestamp() ORDER BY name
        ) AS leases FROM bots ORDER BY joined_at
        """,
        rows=dict_row,
    )


def probe() -> Statement[None]:
    """Read from the newest table, to see that the schema is not older than this release."""
    return Statement("SELECT 1 FROM bots LIMIT 1")
