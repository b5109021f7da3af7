"""Whose each answer is, when a subscription was disabled, and events by publisher."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # Who owned a subscription when its receiver answered earlier is not known: those answers stay hidden.
    op.add_column("attempts", sa.Column("owner", sa.String(length=255), server_default="", nullable=False))
    op.add_column("subscriptions", sa.Column("disabled_at", sa.Float(), nullable=True))
    op.execute(sa.text("UPDATE subscriptions SET disabled_at = updated_at WHERE NOT announced"))
    op.create_index("ix_events_source", "events", ["source", "position"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_events_source", "events")
    op.drop_column("subscriptions", "disabled_at")
    op.drop_column("attempts", "owner")
