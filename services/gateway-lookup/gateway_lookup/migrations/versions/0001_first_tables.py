"""The first tables: leases, static entries, issued names, outbox."""

import sqlalchemy as sa
from alembic import op
from fountain_common.db import UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "leases",
        sa.Column("service", sa.String(63), nullable=False),
        sa.Column("instance", sa.String(32), nullable=False),
        sa.Column("identity", sa.String(63), nullable=False),
        sa.Column("host", sa.String(45), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("scheme", sa.String(5), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("title", sa.String(120), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("hosts", sa.JSON(), nullable=False),
        sa.Column("draining", sa.Boolean(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(32), nullable=False),
        sa.PrimaryKeyConstraint("service", "instance", name="pk_leases"),
    )
    op.create_table(
        "static_entries",
        sa.Column("service_name", sa.String(63), nullable=False),
        sa.Column("url", sa.String(2048), nullable=False),
        sa.Column("hosts", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("service_name", name="pk_static_entries"),
    )
    op.create_table(
        "issued_names",
        sa.Column("name", sa.String(253), nullable=False),
        sa.Column("first_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_issued_names"),
    )
    op.create_table(
        "outbox",
        sa.Column(
            "position",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("type", sa.String(255), nullable=False),
        sa.Column("subject", sa.String(255)),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("recipient", sa.String(63)),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("refused", sa.String(255)),
        sa.PrimaryKeyConstraint("position", name="pk_outbox"),
        sa.UniqueConstraint("id", name="uq_outbox_id"),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    """Remove them."""
    for table in ("outbox", "issued_names", "static_entries", "leases"):
        op.drop_table(table)
