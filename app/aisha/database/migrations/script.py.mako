"""${message}."""

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
phase = "expand"


def upgrade() -> None:
    """Expand the schema."""
    op.execute("")


def downgrade() -> None:
    """Undo it."""
    op.execute("")
