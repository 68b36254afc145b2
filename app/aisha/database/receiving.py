"""The table `receiving`: what `aisha webhook sync` has told Telegram, in one row; without one, nothing yet."""

from aisha.database.statement import Statement
from aisha.settings import Mode

LOCK = "webhook"
"""The lock that is held while Telegram's webhook is set or removed."""


def mode() -> Statement[Mode]:
    """Select the mode that Telegram was told."""
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
    """Select the digests of what Telegram was told and does not report back."""
    return Statement("SELECT secret_digest FROM receiving")


def record_digest(digest: str) -> Statement[None]:
    """Record the digests of what Telegram was told."""
    return Statement("UPDATE receiving SET secret_digest = %(digest)s", {"digest": digest})
