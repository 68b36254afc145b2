"""What is kept of a recording in fewer bytes, and who wants to be forgotten.

`messages.words` stays for the release before, which writes it; the chores turn it into `times`. It is dropped once no
release writes it any more.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
phase = "expand"

SCHEMA = """
-- The times of the words of `text`, packed: see `timing.py`.
ALTER TABLE messages ADD COLUMN times bytea;
ALTER TABLE messages ALTER COLUMN times SET STORAGE EXTERNAL;

-- Who has asked to be forgotten. The row is deleted when that is done and said.
CREATE TABLE erasures (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id   bigint NOT NULL,
    update_id bigint NOT NULL,
    interface text NOT NULL,
    notice    bigint NOT NULL,
    asked_at  timestamptz NOT NULL DEFAULT now(),
    done_at   timestamptz
);
"""


def upgrade() -> None:
    """Add the column and the table."""
    op.execute(SCHEMA)


def downgrade() -> None:
    """Drop both: the release before uses neither."""
    op.execute("DROP TABLE erasures")
    op.execute("ALTER TABLE messages DROP COLUMN times")
