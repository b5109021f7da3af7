"""Find the few versions of a secret that are held among the many that it has had."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_INDEX = "ix_secret_versions_held"
_IS_HELD = sa.text("state IN ('staged', 'active', 'draining')")


def upgrade() -> None:
    op.create_index(
        _INDEX,
        "secret_versions",
        ["service_name", "version"],
        sqlite_where=_IS_HELD,
        postgresql_where=_IS_HELD,
    )


def downgrade() -> None:
    op.drop_index(_INDEX, "secret_versions")
