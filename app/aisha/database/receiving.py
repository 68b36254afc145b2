"""The room of `receiving`: what `aisha webhook sync` has told Telegram, in one row; no row: nothing yet."""

from aisha.database.statement import Statement
from aisha.settings import Mode

LOCK = "webhook"
"""The name of the lock of whoever sets or removes Telegram's webhook."""


def mode() -> Statement[Mode]:
    """Give the mode that Telegram was told."""
    return Statement("SELECT mode FROM receiving")


def record_mode(mode: Mode) -> Statement[None]:
    """Record the mode before Telegram is told it: bots of another mode stop receiving."""
    return Statement(
        """
        INSERT INTO receiving (mode) VALUES (%(mode)s)
        ON CONFLICT (single) DO UPDATE SET mode = excluded.mode, changed_at = now()
        """,
        {"mode": mode},
        wakes=("lease",),
    )


def digest() -> Statement[str | None]:
    """Give the digests of what Telegram was told and does not tell."""
    return Statement("SELECT secret_digest FROM receiving")


def record_digest(digest: str) -> Statement[None]:
    """Record the digests of what Telegram was told."""
    return Statement("UPDATE receiving SET secret_digest = %(digest)s", {"digest": digest})
