"""Tables."""

from datetime import datetime

from fountain_common import UtcDateTime, new_metadata, outbox_table
from sqlalchemy import String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The service's tables."""

    metadata = new_metadata()


class Item(Base):
    """A thing that the service keeps."""

    __tablename__ = "items"
    # AUTOINCREMENT, so that the id of a removed item never comes back for another.
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - SQLAlchemy's own form

    item_id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


outbox_table(Base)
