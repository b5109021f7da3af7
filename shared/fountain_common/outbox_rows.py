"""The outbox's table: an event is written with the change that it tells of, in one transaction."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.orm import DeclarativeBase, Session

from fountain_common.db import UtcDateTime, notify
from fountain_common.event import require_fit
from fountain_common.ids import new_id
from fountain_common.statements import Prepared

TOPIC = "outbox"
SET_ASIDE_DAYS = 30

OUTBOX = Table(
    "outbox",
    MetaData(),
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("type", String(255), nullable=False),
    Column("subject", String(255)),
    Column("data", JSON, nullable=False),
    Column("recipient", String(63)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("refused", String(255)),
    sqlite_autoincrement=True,
)
# Made once: putting a statement together takes longer than the database does with it.
_ADD = Prepared(insert(OUTBOX), ("id", "type", "subject", "data", "recipient", "created_at"))
_FIRST = (
    select(OUTBOX.c.position, OUTBOX.c.id, OUTBOX.c.type, OUTBOX.c.subject, OUTBOX.c.data, OUTBOX.c.recipient)
    .where(OUTBOX.c.refused.is_(None))
    .order_by(OUTBOX.c.position)
    .limit(bindparam("most"))
)
_REMOVE = delete(OUTBOX).where(OUTBOX.c.position.in_(bindparam("positions", expanding=True)))


def outbox_table(base: type[DeclarativeBase] | MetaData) -> Table:
    """Add the outbox to a service's own tables, so that its migrations make it."""
    return OUTBOX.to_metadata(base if isinstance(base, MetaData) else base.metadata)


@dataclass(frozen=True, slots=True)
class Entry:
    """A row that waits."""

    position: int
    id: str
    type: str
    subject: str | None
    data: Any
    recipient: str | None

    def as_event(self) -> dict[str, Any]:
        """Answer what is sent of it where several are sent together."""
        event = {"id": self.id, "type": self.type, "data": self.data}
        optional = {"subject": self.subject, "recipient": self.recipient}
        return event | {name: value for name, value in optional.items() if value is not None}


def enqueue(
    session: Session,
    type: str,  # noqa: A002 - the CloudEvents name of the field
    subject: str | None = None,
    data: Mapping[str, Any] | None = None,
    *,
    recipient: str | None = None,
    event_id: str | None = None,
) -> str:
    """Write an event into the caller's transaction and answer its id.

    Args:
        session: the one that `Database.write` gave.
        type, subject, data: of the event; names and versions, never a secret value.
        recipient: the one identity that may see it; None for everybody.
        event_id: a UUID, if the caller wants to choose it.

    Raises:
        PayloadTooLarge, Unprocessable: the log would never take it; nothing is written.
    """
    chosen = event_id or new_id()
    row = _row(chosen, type, subject, data, recipient, datetime.now(UTC))
    _ADD.run(session.connection(), [row])
    notify(session, TOPIC)
    return chosen


def enqueue_all(session: Session, events: Iterable[tuple[str, str | None, Mapping[str, Any] | None]]) -> None:
    """Write events for everybody, each of type, subject and data, into the caller's transaction, in this
    order. Raises as `enqueue`.
    """
    now = datetime.now(UTC)
    rows = [_row(new_id(), *event, None, now) for event in events]
    if rows:
        _ADD.run(session.connection(), rows)
        notify(session, TOPIC)


def _row(
    event_id: str,
    type_: str,
    subject: str | None,
    data: Mapping[str, Any] | None,
    recipient: str | None,
    now: datetime,
) -> dict[str, Any]:
    said = dict(data or {})
    require_fit(type_, subject or None, said, recipient)
    return {
        "id": event_id,
        "type": type_,
        "subject": subject or None,
        "data": said,
        "recipient": recipient,
        "created_at": now,
    }


def first_waiting(session: Session, limit: int) -> list[Entry]:
    """Answer the oldest rows that wait."""
    return [Entry(*row) for row in session.connection().execute(_FIRST, {"most": limit})]


def set_aside(session: Session, position: int, reason: str) -> None:
    """Note why a row is never to be accepted; it waits no more. Those of 30 days ago go."""
    now = datetime.now(UTC)
    session.execute(update(OUTBOX).where(OUTBOX.c.position == position).values(refused=reason))
    before = now - timedelta(days=SET_ASIDE_DAYS)
    session.execute(delete(OUTBOX).where(OUTBOX.c.refused.is_not(None), OUTBOX.c.created_at < before))


def remove(connection: Connection, positions: list[int]) -> None:
    """Remove rows that were accepted."""
    connection.execute(_REMOVE, {"positions": positions})


def count_waiting(session: Session) -> int:
    """Answer how many rows wait."""
    return session.scalar(select(func.count()).select_from(OUTBOX).where(OUTBOX.c.refused.is_(None))) or 0
