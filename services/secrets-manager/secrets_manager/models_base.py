"""The declarative base of every table, and the few facts about the whole store."""

from typing import Annotated

from fountain_common.db import new_metadata
from sqlalchemy import BigInteger, Integer, LargeBinary
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

#: Two thousand records a second fill 31 bits in twelve days.
Position = Annotated[int, mapped_column(BigInteger().with_variant(Integer, "sqlite"))]


class Base(DeclarativeBase):
    """All tables of the secrets manager hang on this; moments are float seconds since 1970, UTC."""

    metadata = new_metadata()


class PlatformFact(Base):
    """A named fact of the whole store, such as `epoch`, which changes when a backup is restored."""

    __tablename__ = "platform_facts"

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class KeyRingRow(Base):
    """The key ring, wrapped by the key-encryption key; one row."""

    __tablename__ = "key_ring"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    wrapped: Mapped[bytes] = mapped_column(LargeBinary)
    updated_at: Mapped[float]
