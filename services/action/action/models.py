"""Tables."""

from datetime import datetime

from fountain_common import UtcDateTime, new_metadata, outbox_table
from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The service's tables."""

    metadata = new_metadata()


class Action(Base):
    """What a character does. `revision` counts its changes and is what an ETag names."""

    __tablename__ = "actions"
    # AUTOINCREMENT, so that the id of a deleted action never comes back for another.
    __table_args__ = (UniqueConstraint("character_id", "sequence_number"), {"sqlite_autoincrement": True})

    action_id: Mapped[int] = mapped_column(primary_key=True)
    character_id: Mapped[int] = mapped_column(index=True)
    sequence_number: Mapped[int]
    description: Mapped[str] = mapped_column(String(4000))
    comment: Mapped[str | None] = mapped_column(String(4000))
    revision: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Sequence(Base):
    """The last number given to a character's actions. It outlives them, so that none is given twice."""

    __tablename__ = "sequences"

    character_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    last: Mapped[int]


outbox_table(Base)
