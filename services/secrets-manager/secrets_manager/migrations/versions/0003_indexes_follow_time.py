"""Put what is written together into neighbouring places of the indexes: see `eras.py`."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_POSITION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_IS_HELD = sa.text("state IN ('staged', 'active', 'draining')")
_IS_OPEN = _IS_HELD
_COLUMNS: tuple[tuple[str, sa.types.TypeEngine[Any], bool], ...] = (
    ("service_name", sa.String(), False),
    ("version", sa.Integer(), False),
    ("state", sa.String(), False),
    ("sealed", sa.LargeBinary(), True),
    ("created_at", sa.Double(), False),
    ("created_by", sa.String(), False),
    ("changed_at", sa.Double(), False),
)
_NAMES = ", ".join(name for name, _, _ in _COLUMNS)


def upgrade() -> None:
    op.drop_index("ix_audit_records_caller", "audit_records")
    op.drop_index("ix_audit_records_target", "audit_records")
    op.create_index("ix_audit_records_caller", "audit_records", [_era("seq"), "caller"])
    op.create_index("ix_audit_records_target", "audit_records", [_era("seq"), "target"])

    op.drop_index("ix_rotations_service_name_state", "rotations")
    op.create_index(
        "ix_rotations_open",
        "rotations",
        ["service_name"],
        sqlite_where=_IS_OPEN,
        postgresql_where=_IS_OPEN,
    )
    op.create_index("ix_rotations_era", "rotations", [_era("position"), "service_name"])

    op.drop_index("ix_secret_versions_held", "secret_versions")
    _renew_versions(
        sa.Column("position", _POSITION, nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_secret_versions")),
    )
    _index_held(unique=True)
    op.create_index(
        "ix_secret_versions_era", "secret_versions", [_era("position"), "service_name", "version"]
    )


def downgrade() -> None:
    op.drop_index("ix_secret_versions_era", "secret_versions")
    op.drop_index("ix_secret_versions_held", "secret_versions")
    _renew_versions(sa.PrimaryKeyConstraint("service_name", "version", name=op.f("pk_secret_versions")))
    _index_held(unique=False)

    op.drop_index("ix_rotations_era", "rotations")
    op.drop_index("ix_rotations_open", "rotations")
    op.create_index("ix_rotations_service_name_state", "rotations", ["service_name", "state"])

    for name in ("caller", "target"):
        op.drop_index(f"ix_audit_records_{name}", "audit_records")
        op.create_index(f"ix_audit_records_{name}", "audit_records", [name])


def _era(position: str) -> sa.TextClause:
    return sa.text(f"({position} / 1024)")


def _index_held(*, unique: bool) -> None:
    op.create_index(
        "ix_secret_versions_held",
        "secret_versions",
        ["service_name", "version"],
        unique=unique,
        sqlite_where=_IS_HELD,
        postgresql_where=_IS_HELD,
    )


def _renew_versions(*with_key: sa.Column[int] | sa.PrimaryKeyConstraint) -> None:
    """Make the table anew, with its constraints' names: the rows wait in another one meanwhile."""
    op.execute(f"CREATE TABLE versions_waiting AS SELECT {_NAMES} FROM secret_versions")  # noqa: S608
    op.drop_table("secret_versions")
    op.create_table(
        "secret_versions",
        *with_key,
        *(sa.Column(name, kind, nullable=nullable) for name, kind, nullable in _COLUMNS),
        sa.ForeignKeyConstraint(
            ["service_name"], ["secrets.service_name"], name=op.f("fk_secret_versions_service_name")
        ),
    )
    # Of one secret, the later version is the higher one, and comes later.
    op.execute(
        f"INSERT INTO secret_versions ({_NAMES}) SELECT {_NAMES} FROM versions_waiting "  # noqa: S608
        "ORDER BY version, service_name"
    )
    op.drop_table("versions_waiting")
