"""Which audio track of a recording with several was heard."""

from alembic import op

revision = "0003"
down_revision = "0002"
phase = "expand"

SCHEMA = """
-- Both from 1; null where a recording has only one track.
ALTER TABLE messages ADD COLUMN track smallint, ADD COLUMN tracks smallint;
"""


def upgrade() -> None:
    """Add the columns."""
    op.execute(SCHEMA)


def downgrade() -> None:
    """Drop them: the release before does not use them."""
    op.execute("ALTER TABLE messages DROP COLUMN track, DROP COLUMN tracks")
