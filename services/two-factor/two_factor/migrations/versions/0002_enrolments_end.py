"""Until when a device that was enrolled can be confirmed."""

import sqlalchemy as sa
from alembic import op
from fountain_common import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("factors", sa.Column("pending_until", UtcDateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("factors", "pending_until")
