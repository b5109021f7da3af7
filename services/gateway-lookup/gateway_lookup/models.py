"""What survives a restart: leases (without their clock), static entries, whose each name is, and the names
that have a public certificate.
"""

from datetime import datetime

from fountain_common.db import UtcDateTime, new_metadata
from fountain_common.outbox import outbox_table
from sqlalchemy import JSON, BigInteger, LargeBinary, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The tables of this service."""

    metadata = new_metadata()


class LeaseRow(Base):
    """A lease as it was granted. When it runs out is not stored: monotonic time means nothing to the next
    process.
    """

    __tablename__ = "leases"

    service: Mapped[str] = mapped_column(String(63), primary_key=True)
    instance: Mapped[str] = mapped_column(String(32), primary_key=True)
    identity: Mapped[str] = mapped_column(String(63))
    host: Mapped[str] = mapped_column(String(45))
    port: Mapped[int]
    generation: Mapped[int] = mapped_column(BigInteger)
    scheme: Mapped[str] = mapped_column(String(5))
    version: Mapped[str] = mapped_column(String(64))
    title: Mapped[str] = mapped_column(String(120))
    description: Mapped[str] = mapped_column(Text)
    hosts: Mapped[list[str]] = mapped_column(JSON)
    draining: Mapped[bool]
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class StaticRow(Base):
    """A static entry."""

    __tablename__ = "static_entries"

    service_name: Mapped[str] = mapped_column(String(63), primary_key=True)
    url: Mapped[str] = mapped_column(String(2048))
    hosts: Mapped[list[str]] = mapped_column(JSON)


class IssuedName(Base):
    """A name for which the edge may ask a public authority, and since when."""

    __tablename__ = "issued_names"

    name: Mapped[str] = mapped_column(String(253), primary_key=True)
    first_at: Mapped[datetime] = mapped_column(UtcDateTime)
    service: Mapped[str] = mapped_column(String(63), default="", server_default="")
    """For whom it is, so that one cannot use up what is everybody's."""


class OwnedName(Base):
    """A name that a service has been registered under: it is that service's, whether it runs or not."""

    __tablename__ = "owned_names"

    name: Mapped[str] = mapped_column(String(63), primary_key=True)


outbox_table(Base)
