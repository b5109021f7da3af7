"""Tables of secrets, their versions, who holds them, and their rotations. No column holds a value in plain
text.
"""

from typing import Final

from sqlalchemy import ColumnElement, ForeignKey, Index, LargeBinary, column, literal_column
from sqlalchemy.orm import Mapped, mapped_column

from secrets_manager.eras import era_in_words
from secrets_manager.models_base import Base, Position
from secrets_manager.rotation import HELD, OPEN

# In the words of the indexes that find them: with parameters, a database cannot tell that it may use these.
HELD_STATES: Final[list[ColumnElement[str]]] = [literal_column(f"'{state}'") for state in HELD]
OPEN_STATES: Final[list[ColumnElement[str]]] = [literal_column(f"'{state}'") for state in OPEN]
_IS_HELD: Final = column("state").in_(HELD_STATES)
_IS_OPEN: Final = column("state").in_(OPEN_STATES)


class SecretRow(Base):
    """The secret of one service; what it contains is in its versions."""

    __tablename__ = "secrets"

    service_name: Mapped[str] = mapped_column(primary_key=True)
    newest_version: Mapped[int]  # never goes down, so that a version number is never used twice
    created_at: Mapped[float]
    updated_at: Mapped[float]
    revoked_at: Mapped[float | None]


class SecretVersionRow(Base):
    """One version; `sealed` is an envelope around a JSON object, empty once the version is destroyed."""

    __tablename__ = "secret_versions"
    __table_args__ = (
        # Small and in memory, however many versions a secret has had. A version begins in it, so that there
        # is no second one of its number.
        Index(
            "ix_secret_versions_held",
            "service_name",
            "version",
            unique=True,
            sqlite_where=_IS_HELD,
            postgresql_where=_IS_HELD,
        ),
        Index("ix_secret_versions_era", era_in_words("position"), "service_name", "version"),
    )

    position: Mapped[Position] = mapped_column(primary_key=True)
    service_name: Mapped[str] = mapped_column(ForeignKey("secrets.service_name"))
    version: Mapped[int]
    state: Mapped[str]
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[float]
    created_by: Mapped[str]
    changed_at: Mapped[float]


class HolderRow(Base):
    """An instance that holds the secret. How long it still counts is kept in memory: see holders.py."""

    __tablename__ = "secret_holders"

    service_name: Mapped[str] = mapped_column(ForeignKey("secrets.service_name"), primary_key=True)
    identity: Mapped[str] = mapped_column(primary_key=True)
    instance_id: Mapped[str] = mapped_column(primary_key=True)
    accepts: Mapped[int]
    uses: Mapped[int]
    since: Mapped[float]


class RotationRow(Base):
    """One rotation; rotation.py says what its columns mean."""

    __tablename__ = "rotations"
    __table_args__ = (
        Index("ix_rotations_open", "service_name", sqlite_where=_IS_OPEN, postgresql_where=_IS_OPEN),
        Index("ix_rotations_era", era_in_words("position"), "service_name"),
    )

    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    rotation_id: Mapped[str] = mapped_column(unique=True)
    service_name: Mapped[str] = mapped_column(ForeignKey("secrets.service_name"))
    version: Mapped[int]
    previous_version: Mapped[int]
    state: Mapped[str] = mapped_column(index=True)
    overdue: Mapped[bool]
    created_at: Mapped[float]
    deadline_at: Mapped[float]
    deadline_seconds: Mapped[float]
    overlap_seconds: Mapped[float]
    activated_at: Mapped[float | None]
    draining_since: Mapped[float | None]
    retired_at: Mapped[float | None]
    reason: Mapped[str]
    requested_by: Mapped[str]
    last_holders: Mapped[str | None]  # JSON: who held it when the rotation ended, for those who ask later


class PolicyRow(Base):
    """When a secret is rotated without anybody asking, and with which overlap and deadline."""

    __tablename__ = "rotation_policies"

    service_name: Mapped[str] = mapped_column(ForeignKey("secrets.service_name"), primary_key=True)
    cron: Mapped[str | None]
    interval_seconds: Mapped[int | None]
    overlap_seconds: Mapped[float]
    deadline_seconds: Mapped[float]
    next_at: Mapped[float | None] = mapped_column(index=True)
    updated_at: Mapped[float]


class GrantRow(Base):
    """Another identity that may read a service's secret. `mac` covers the other columns."""

    __tablename__ = "secret_grants"

    service_name: Mapped[str] = mapped_column(primary_key=True)
    identity: Mapped[str] = mapped_column(primary_key=True)
    granted_by: Mapped[str]
    granted_at: Mapped[float]
    mac: Mapped[bytes] = mapped_column(LargeBinary)


class IdempotencyRow(Base):
    """What a caller's Idempotency-Key did. The answer is made again from the version, so that no value
    lies here.
    """

    __tablename__ = "idempotency_keys"

    caller: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)  # keyed hash of operation, target and body
    service_name: Mapped[str]
    version: Mapped[int]
    rotation_id: Mapped[str | None]
    created_at: Mapped[float] = mapped_column(index=True)
