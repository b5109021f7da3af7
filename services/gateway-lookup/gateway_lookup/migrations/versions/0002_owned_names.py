"""Names that belong to whoever was first reached under them; those that there are now among them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, and enter what is registered."""
    op.create_table(
        "owned_names",
        sa.Column("name", sa.String(63), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_owned_names"),
    )
    op.execute(
        "INSERT INTO owned_names (name) "
        "SELECT service FROM leases UNION SELECT service_name FROM static_entries"
    )
    # Who has a public certificate already counts for nobody: it is not known who asked.
    op.add_column("issued_names", sa.Column("service", sa.String(63), nullable=False, server_default=""))


def downgrade() -> None:
    """Remove them."""
    op.drop_column("issued_names", "service")
    op.drop_table("owned_names")
