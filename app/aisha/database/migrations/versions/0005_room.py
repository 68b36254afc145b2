"""What object storage has room for: which messages wait for it, and whose recordings are removed."""

from alembic import op

revision = "0005"
down_revision = "0004"
phase = "expand"

SCHEMA = """
ALTER TABLE messages
    ADD COLUMN no_room boolean NOT NULL DEFAULT false,
    ADD COLUMN object_removed_at timestamptz;
CREATE INDEX messages_with_object ON messages (id) WHERE stored_at IS NOT NULL AND object_removed_at IS NULL;
"""


def upgrade() -> None:
    """Add the columns; the release before leaves them at their defaults."""
    op.execute(SCHEMA)


def downgrade() -> None:
    """Drop them: what was removed is then found to be missing, which an older release can do with."""
    op.execute(
        "DROP INDEX messages_with_object; ALTER TABLE messages DROP COLUMN no_room, DROP COLUMN object_removed_at"
    )
