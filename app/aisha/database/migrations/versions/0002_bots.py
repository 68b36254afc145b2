"""The bots, what only one of them at a time does, and how updates are received."""

from alembic import op

revision = "0002"
down_revision = "0001"
phase = "expand"

SCHEMA = """
-- Bot processes. One that does not renew its row in time is shut out of the database by another.
CREATE TABLE bots (
    id         text PRIMARY KEY,
    mode       text NOT NULL,
    joined_at  timestamptz NOT NULL DEFAULT now(),
    expires    timestamptz NOT NULL
);

-- What one bot at a time does. The token grows with every new holder.
CREATE TABLE leases (
    name       text PRIMARY KEY,
    holder     text,
    token      bigint NOT NULL,
    expires    timestamptz NOT NULL,
    asked_back boolean NOT NULL DEFAULT false,
    caught_up  boolean NOT NULL DEFAULT false
);

-- What `aisha webhook sync` has told Telegram; no row: nothing yet, so polling bots poll.
CREATE TABLE receiving (
    single        boolean PRIMARY KEY DEFAULT true CHECK (single),
    mode          text NOT NULL,
    secret_digest text,
    changed_at    timestamptz NOT NULL DEFAULT now()
);
"""


def upgrade() -> None:
    """Create the tables."""
    op.execute(SCHEMA)


def downgrade() -> None:
    """Drop them: bots of an older release do not use them."""
    op.execute("DROP TABLE bots, leases, receiving")
