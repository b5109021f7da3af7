"""Tables."""

from datetime import datetime

from fountain_common import UtcDateTime, new_metadata, outbox_table
from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The service's tables."""

    metadata = new_metadata()


class Factor(Base):
    """A person's authenticator. Seeds are sealed; a new one waits beside the old until it is confirmed."""

    __tablename__ = "factors"

    username: Mapped[str] = mapped_column(String(128), primary_key=True)
    seed: Mapped[bytes | None]
    pending_seed: Mapped[bytes | None]
    pending_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Until when the new one can be confirmed."""
    last_step: Mapped[int] = mapped_column(default=-1)
    """The newest time step whose code was accepted; it and those before it are used up."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class RecoveryCode(Base):
    """A code for the day on which the device is lost."""

    __tablename__ = "recovery_codes"

    username: Mapped[str] = mapped_column(
        ForeignKey("factors.username", ondelete="CASCADE"), primary_key=True
    )
    hash: Mapped[bytes] = mapped_column(primary_key=True)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class OneTimeCode(Base):
    """The last code that went out for a person, sealed."""

    __tablename__ = "one_time_codes"

    username: Mapped[str] = mapped_column(String(128), primary_key=True)
    code: Mapped[bytes]
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class WrongCodes(Base):
    """How many wrong codes a person's name has seen in a row, and until when it is locked."""

    __tablename__ = "wrong_codes"

    username: Mapped[str] = mapped_column(String(128), primary_key=True)
    failures: Mapped[int]
    locked_until: Mapped[float]


outbox_table(Base)
