"""Forum topics, who asked for buttons, answers that a chat did not let in, and when each user had the last turn."""

from alembic import op

revision = "0004"
down_revision = "0003"
phase = "expand"

SCHEMA = """
-- The forum topic in which a recording was sent, and in which its answer belongs.
ALTER TABLE messages ADD COLUMN thread_id bigint;

-- The forum topic of our message; who asked for its buttons; whether the chat did not let it in.
ALTER TABLE outbox ADD COLUMN thread_id bigint;
ALTER TABLE outbox ADD COLUMN asked_by bigint;
ALTER TABLE outbox ADD COLUMN barred boolean NOT NULL DEFAULT false;
CREATE INDEX outbox_barred ON outbox (chat_id) WHERE barred;

-- When a user had the last turn in a lane.
CREATE INDEX jobs_served ON jobs (lane, user_id, queued_at);
"""


def upgrade() -> None:
    """Add the columns and indexes."""
    op.execute(SCHEMA)


def downgrade() -> None:
    """Drop them: an older release does not use them."""
    op.execute("DROP INDEX jobs_served")
    op.execute("ALTER TABLE messages DROP COLUMN thread_id")
    op.execute("ALTER TABLE outbox DROP COLUMN thread_id, DROP COLUMN asked_by, DROP COLUMN barred")
