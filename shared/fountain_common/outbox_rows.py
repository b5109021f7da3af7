"""The outbox's table: events are written with the change that they tell of, in one transaction.

A row is one event, or a batch: several that were written together, as JSON, in the order in which they are
handed on. A batch of a hundred costs the database what one event does.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    bindparam,
    case,
    cast,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.orm import DeclarativeBase, Session

from fountain_common.db import UtcDateTime, notify
from fountain_common.event import require_fit
from fountain_common.ids import new_id, new_ids
from fountain_common.statements import Prepared

TOPIC = "outbox"
SET_ASIDE_DAYS = 30
MOST_EVENTS: Final = 500
"""As many as the notification service takes in one request, and so in one row."""
MOST_BYTES: Final = 900_000
"""A request's body holds a megabyte."""
BATCH: Final = "application/cloudevents-batch+json"
"""Stands for the type of a row that is a batch, and its subject is how many events that holds. No event has
such a type.
"""

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
    select(
        OUTBOX.c.position,
        OUTBOX.c.id,
        OUTBOX.c.type,
        OUTBOX.c.subject,
        # As it was written: what is handed on together is not taken apart on its way.
        cast(OUTBOX.c.data, Text),
        OUTBOX.c.recipient,
    )
    # What was accepted may be large, and is not read again until it is removed.
    .where(OUTBOX.c.refused.is_(None), OUTBOX.c.position.not_in(bindparam("without", expanding=True)))
    .order_by(OUTBOX.c.position)
    .limit(MOST_EVENTS)
)
_REMOVE = delete(OUTBOX).where(OUTBOX.c.position.in_(bindparam("positions", expanding=True)))


def outbox_table(base: type[DeclarativeBase] | MetaData) -> Table:
    """Add the outbox to a service's own tables, so that its migrations make it."""
    return OUTBOX.to_metadata(base if isinstance(base, MetaData) else base.metadata)


@dataclass(frozen=True, slots=True)
class Entry:
    """A row that waits.

    Attributes:
        position: of the row.
        encoded: its events, as JSON, with commas between them.
        count: how many these are.
        is_batch: whether it was written as several.
    """

    position: int
    encoded: str
    count: int = 1
    is_batch: bool = False

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events, each with `id`, `type`, `data`, and `subject` and `recipient` if it has them."""
        found: list[dict[str, Any]] = orjson.loads(f"[{self.encoded}]")
        return found


class Waiting(NamedTuple):
    """The oldest rows that wait, as many as go in one request, and whether there are others."""

    entries: list[Entry]
    more: bool

    @property
    def event_count(self) -> int:
        """How many events these are."""
        return sum(entry.count for entry in self.entries)

    @property
    def encoded(self) -> bytes:
        """All of them as one JSON array."""
        return f"[{','.join(entry.encoded for entry in self.entries)}]".encode()


def enqueue(
    session: Session,
    type: str,  # noqa: A002 - the CloudEvents name of the field
    subject: str | None = None,
    data: Mapping[str, Any] | None = None,
    *,
    recipient: str | None = None,
    event_id: str | None = None,
) -> str:
    """Write an event into the caller's transaction and return its id.

    Args:
        session: the one that `Database.write` gave.
        type, subject, data: of the event; names and versions, never a secret value.
        recipient: the one identity that may see it; None for everybody.
        event_id: a UUID, if the caller wants to choose it.

    Raises:
        PayloadTooLarge, Unprocessable: the log would never take it; nothing is written.
    """
    sent = _sent(event_id or new_id(), type, subject, data, recipient)
    _ADD.run(session.connection(), [sent.row(datetime.now(UTC))])
    notify(session, TOPIC)
    return sent.event_id


def enqueue_all(session: Session, events: Iterable[tuple[str, str | None, Mapping[str, Any] | None]]) -> None:
    """Write events for everybody, each of type, subject and data, into the caller's transaction, in this
    order. Raises as `enqueue`.
    """
    told = list(events)
    if not told:
        return
    sent = [_sent(event_id, *event) for event_id, event in zip(new_ids(len(told)), told, strict=True)]
    now = datetime.now(UTC)
    rows = [_batch_row(batch, now) for batch in _batches(sent)]
    _ADD.run(session.connection(), rows)
    notify(session, TOPIC)


class _Sent(NamedTuple):
    """An event on its way; its data, and all of it, as JSON."""

    event_id: str
    type: str
    subject: str | None
    data: orjson.Fragment
    recipient: str | None
    encoded: bytes

    def row(self, now: datetime) -> dict[str, Any]:
        """Return its own row."""
        return _row(now, *self[:-1])


def _sent(
    event_id: str,
    type_: str,
    subject: str | None,
    data: Mapping[str, Any] | None,
    recipient: str | None = None,
) -> _Sent:
    subject = subject or None
    fragment = orjson.Fragment(require_fit(type_, subject, dict(data or {}), recipient))
    encoded = _encoded(event_id, type_, subject, fragment, recipient)
    return _Sent(event_id, type_, subject, fragment, recipient, encoded)


def _encoded(
    event_id: str, type_: str, subject: str | None, data: orjson.Fragment, recipient: str | None
) -> bytes:
    event = {"id": event_id, "type": type_, "data": data}
    if subject is not None:
        event["subject"] = subject
    if recipient is not None:
        event["recipient"] = recipient
    return orjson.dumps(event)


def _batches(events: Sequence[_Sent]) -> Iterable[Sequence[_Sent]]:
    """Take events apart into what one request, and so one row, holds."""
    start = size = 0
    for number, event in enumerate(events):
        weight = len(event.encoded) + 1
        if number > start and (number - start == MOST_EVENTS or size + weight > MOST_BYTES):
            yield events[start:number]
            start, size = number, 0
        size += weight
    yield events[start:]


def _batch_row(events: Sequence[_Sent], now: datetime) -> dict[str, Any]:
    if len(events) == 1:
        return events[0].row(now)
    return {
        "id": new_id(),
        "type": BATCH,
        "subject": str(len(events)),
        "data": orjson.Fragment(b"[" + b",".join([event.encoded for event in events]) + b"]"),
        "recipient": None,
        "created_at": now,
    }


def _row(
    now: datetime, event_id: str, type_: str, subject: str | None, data: Any, recipient: str | None
) -> dict[str, Any]:
    return {
        "id": event_id,
        "type": type_,
        "subject": subject,
        "data": data,
        "recipient": recipient,
        "created_at": now,
    }


def first_waiting(session: Session, without: Collection[int] = ()) -> Waiting:
    """Return the oldest rows that wait, but for those at the positions `without`."""
    entries: list[Entry] = []
    count = size = 0
    with session.connection().execute(_FIRST, {"without": list(without)}) as found:
        for row in found:
            entry = _entry(*row)
            count += entry.count
            size += len(entry.encoded.encode()) + 1
            if entries and (count > MOST_EVENTS or size > MOST_BYTES):
                return Waiting(entries, more=True)
            entries.append(entry)
    return Waiting(entries, more=count == MOST_EVENTS)


def _entry(
    position: int, event_id: str, type_: str, subject: str | None, data: str, recipient: str | None
) -> Entry:
    if type_ == BATCH:
        return Entry(position, data[1:-1], int(subject or 0), is_batch=True)
    return Entry(position, _encoded(event_id, type_, subject, orjson.Fragment(data), recipient).decode())


def set_aside(session: Session, entry: Entry, event: Mapping[str, Any], reason: str) -> None:
    """Note why an event of a row is never to be accepted; it waits no more. Those of 30 days ago go.

    One of a batch gets a row of its own, and may have it already if its batch is handed on again.
    """
    now = datetime.now(UTC)
    if not entry.is_batch:
        session.execute(update(OUTBOX).where(OUTBOX.c.position == entry.position).values(refused=reason))
    elif not session.scalar(select(func.count()).where(OUTBOX.c.id == event["id"])):
        row = _row(
            now, event["id"], event["type"], event.get("subject"), event["data"], event.get("recipient")
        )
        session.execute(insert(OUTBOX).values(**row, refused=reason))
    before = now - timedelta(days=SET_ASIDE_DAYS)
    session.execute(delete(OUTBOX).where(OUTBOX.c.refused.is_not(None), OUTBOX.c.created_at < before))


def remove(connection: Connection, positions: list[int]) -> None:
    """Remove rows that were accepted."""
    connection.execute(_REMOVE, {"positions": positions})


def count_waiting(session: Session) -> int:
    """Return how many events wait."""
    events = case((OUTBOX.c.type == BATCH, cast(OUTBOX.c.subject, Integer)), else_=1)
    return session.scalar(select(func.sum(events)).where(OUTBOX.c.refused.is_(None))) or 0
