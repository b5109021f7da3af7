"""Tables of the audit.

The chain, its head, the signed anchors, and the segments that were sealed for export.
"""

from sqlalchemy import Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from secrets_manager.eras import era_in_words
from secrets_manager.models_base import Base, Position


class AuditRow(Base):
    """One record. audit_chain.py says what `previous`, `hash` and `mac` are made of."""

    __tablename__ = "audit_records"
    __table_args__ = (
        Index("ix_audit_records_caller", era_in_words("seq"), "caller"),
        Index("ix_audit_records_target", era_in_words("seq"), "target"),
    )

    seq: Mapped[Position] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[float] = mapped_column(index=True)
    caller: Mapped[str]
    key_id: Mapped[str]
    action: Mapped[str] = mapped_column(index=True)
    target: Mapped[str]
    outcome: Mapped[str]
    detail: Mapped[str]  # JSON
    client: Mapped[str]
    through_edge: Mapped[bool]
    request_id: Mapped[str]
    previous: Mapped[bytes] = mapped_column(LargeBinary)
    hash: Mapped[bytes] = mapped_column(LargeBinary)
    mac: Mapped[bytes] = mapped_column(LargeBinary)


class AuditHeadRow(Base):
    """The newest record of the chain, written with it, so that rows cut off the end are missed at once.

    One row.
    """

    __tablename__ = "audit_head"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seq: Mapped[Position]
    hash: Mapped[bytes] = mapped_column(LargeBinary)
    mac: Mapped[bytes] = mapped_column(LargeBinary)


class AuditAnchorRow(Base):
    """A head, signed by the audit's own key, as it was published."""

    __tablename__ = "audit_anchors"

    seq: Mapped[Position] = mapped_column(primary_key=True, autoincrement=False)
    hash: Mapped[bytes] = mapped_column(LargeBinary)
    at: Mapped[float]
    signature: Mapped[bytes] = mapped_column(LargeBinary)


class AuditSegmentRow(Base):
    """A range of records, closed and signed.

    Once exported, its records may be pruned, and the chain begins behind it.
    """

    __tablename__ = "audit_segments"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    first: Mapped[Position]
    last: Mapped[Position]
    previous: Mapped[bytes] = mapped_column(LargeBinary)
    hash: Mapped[bytes] = mapped_column(LargeBinary)
    sealed_at: Mapped[float]
    exported_at: Mapped[float | None]
    pruned_at: Mapped[float | None]
    signature: Mapped[bytes] = mapped_column(LargeBinary)
