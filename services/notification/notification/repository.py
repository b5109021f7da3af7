"""The log's queries. Functions of a session: they run inside `Database.read` and `Database.write`."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple

from fountain_common.statements import Listed, Prepared
from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    Connection,
    bindparam,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from notification.event import Draft, Stored
from notification.models import events, log_state, removals

_ADD = Prepared(insert(events))
# What fails here is not kept in any case: SQLite need not remember for each statement what was before it.
_ADD_NEW = Prepared(insert(events).prefix_with("OR FAIL", dialect="sqlite"))
_LAST = select(log_state.c.last_position).with_for_update()
_SET_LAST = update(log_state).values(last_position=bindparam("last"))
_Known = tuple[Stored, bytes]
"""An event under one of its names, and the fingerprint of what was published."""
COLUMNS = (
    events.c.position,
    events.c.id,
    events.c.source,
    events.c.type,
    events.c.subject,
    events.c.recipient,
    events.c.stored_at,
    events.c.expires_at,
    events.c.body,
)
_EACH: BindParameter[Any] = bindparam("each", expanding=True)


def _stored_under(column: Column[Any]) -> Listed:
    return Listed(
        select(*COLUMNS, events.c.fingerprint, events.c.key).where(
            events.c.source == bindparam("source"), column.in_(_EACH)
        )
    )


_UNDER_ID, _UNDER_KEY = _stored_under(events.c.id), _stored_under(events.c.key)


@dataclass(frozen=True, slots=True)
class State:
    """What is known about the log as a whole."""

    epoch: str
    last_position: int
    removed_through: dict[str, int]


class Outcome(NamedTuple):
    """What became of a draft.

    Attributes:
        event: the event in the log.
        replayed: it had been stored before.
    """

    event: Stored
    replayed: bool = False


class Batch(NamedTuple):
    """What is stored whole or not at all.

    Attributes:
        drafts: in their order.
        accepted: monotonic seconds at which they came in.
    """

    drafts: Sequence[Draft]
    accepted: float = 0.0


@dataclass(frozen=True, slots=True)
class Clash:
    """That of a batch nothing was stored, since something else is stored under the name of one draft.

    Attributes:
        number: which of the batch, from 0.
    """

    number: int


def load_state(session: Session) -> State:
    """Return the state of the log, beginning it when there is none."""
    row = session.execute(select(log_state.c.epoch, log_state.c.last_position)).first()
    epoch, last = (row[0], row[1]) if row is not None else (secrets.token_hex(8), 0)
    if row is None:
        session.execute(insert(log_state).values(id=1, epoch=epoch, last_position=last))
    gone = session.execute(select(removals.c.type, removals.c.through)).all()
    return State(epoch, last, dict(map(tuple, gone)))


def begin_epoch(session: Session) -> str:
    """Give this history of the log another name, so that nobody resumes in it where he was in another."""
    epoch = secrets.token_hex(8)
    session.execute(update(log_state).values(epoch=epoch))
    return epoch


def store_new(connection: Connection, batches: Sequence[Batch], now: float) -> list[list[Outcome] | Clash]:
    """As `store`, for drafts of which none has been stored before: nothing is looked up, as the table itself
    lets in no id or key of a publisher a second time.

    Raises:
        IntegrityError: one has been, or two are the same; what was done must be rolled back.
    """
    last = position = connection.execute(_LAST).scalar_one()
    outcomes: list[list[Outcome] | Clash] = []
    rows: list[tuple[Any, ...]] = []
    for drafts, accepted in batches:
        placed: list[Outcome] = []
        for draft in drafts:
            position += 1
            event = draft.at(position, now, accepted)
            placed.append(Outcome(event))
            rows.append(_row(event, draft))
        outcomes.append(placed)
    _ADD_NEW.run_rows(connection, rows)
    connection.execute(_SET_LAST, {"last": last + len(rows)})
    return outcomes


def store(connection: Connection, batches: Sequence[Batch], now: float) -> list[list[Outcome] | Clash]:
    """Store batches of drafts at the next positions, each draft once and each batch in its order or not at
    all; return what became of each.

    Positions are taken inside the transaction that stores, by the one writer: there is never a hole that is
    filled later, which a reader would have skipped.
    """
    known = _known(connection, [draft for batch in batches for draft in batch.drafts])
    outcomes: list[list[Outcome] | Clash] = []
    rows: list[tuple[Any, ...]] = []
    last = connection.execute(_LAST).scalar_one()
    for batch in batches:
        placed = _place(batch, known, last + len(rows) + 1, now)
        if isinstance(placed, Clash):
            outcomes.append(placed)
            continue
        found, fresh = placed
        rows += [
            _row(event, draft)
            for (event, replayed), draft in zip(found, batch.drafts, strict=True)
            if not replayed
        ]
        # What comes behind it may meet these.
        known.update(fresh)
        outcomes.append(found)
    if rows:
        _ADD.run_rows(connection, rows)
        connection.execute(_SET_LAST, {"last": last + len(rows)})
    return outcomes


def _place(
    batch: Batch, known: Mapping[tuple[str, ...], _Known], position: int, now: float
) -> tuple[list[Outcome], dict[tuple[str, ...], _Known]] | Clash:
    """Return what becomes of a batch whose first new event comes at a position, and what is new in it, by
    its names.
    """
    placed: list[Outcome] = []
    # Until all of it is stored, only what comes later in the same batch may meet these.
    mine: dict[tuple[str, ...], _Known] = {}
    for number, draft in enumerate(batch.drafts):
        name, key = (draft.id, draft.source), _key(draft) if draft.key else None
        before = known.get(name) or mine.get(name)
        if before is None and key is not None:
            before = known.get(key) or mine.get(key)
        if before is None:
            event = draft.at(position, now, batch.accepted)
            position += 1
            placed.append(Outcome(event))
            mine[name] = entry = (event, draft.fingerprint)
            if key is not None:
                mine[key] = entry
        elif before[1] == draft.fingerprint:
            placed.append(Outcome(before[0], replayed=True))
        else:
            return Clash(number)
    return placed, mine


def _key(draft: Draft) -> tuple[str, str, str]:
    return (draft.source, "key", draft.key or "")


def _row(event: Stored, draft: Draft) -> tuple[Any, ...]:
    """Return the columns of an event in the table's order, as SQLite's driver takes them."""
    return (*event[: len(COLUMNS) - 1], draft.key, bytearray(draft.fingerprint), bytearray(event.body))


def _known(connection: Connection, drafts: Sequence[Draft]) -> dict[tuple[str, ...], _Known]:
    """Return what is stored already under the ids and keys of drafts, with its fingerprint."""
    asked: dict[tuple[str, Listed], list[str]] = {}
    for draft in drafts:
        if not draft.made_id:
            asked.setdefault((draft.source, _UNDER_ID), []).append(draft.id)
        if draft.key:
            asked.setdefault((draft.source, _UNDER_KEY), []).append(draft.key)
    found: dict[tuple[str, ...], _Known] = {}
    # Publisher by publisher: for a list of pairs SQLite would read all events instead of an index.
    for (source, under), values in asked.items():
        for row in under.rows(connection, values, source=source):
            event, (fingerprint, key) = stored(row), row[len(COLUMNS) :]
            entry = (event, fingerprint)
            found[event.id, event.source] = entry
            if key:
                found[event.source, "key", key] = entry
    return found


def stored(row: Any) -> Stored:
    """Return the event of a row that begins with `COLUMNS`, which are in the order of its attributes."""
    return Stored(*row[: len(COLUMNS)])


def newest_events(session: Session, limit: int) -> list[Stored]:
    """Return the newest events, oldest first."""
    rows = session.execute(select(*COLUMNS).order_by(events.c.position.desc()).limit(limit)).all()
    return [stored(row) for row in reversed(rows)]


def event_by_id(session: Session, id_: str, reader: str, source: str | None = None) -> Stored | None:
    """Return the event of that id which the reader may see; of several publishers', the first that was
    stored.
    """
    query = select(*COLUMNS).where(events.c.id == id_, visible(reader))
    if source is not None:
        query = query.where(events.c.source == source)
    row = session.execute(query.order_by(events.c.position).limit(1)).first()
    return None if row is None else stored(row)


def event_at(session: Session, position: int) -> Stored | None:
    """Return the event at a position."""
    row = session.execute(select(*COLUMNS).where(events.c.position == position)).first()
    return None if row is None else stored(row)


def retained_event(session: Session, type_: str, subject: str | None, reader: str) -> Stored | None:
    """Return the newest event of a type, and of a subject if one is named, that the reader may see."""
    query = select(*COLUMNS).where(events.c.type == type_).order_by(events.c.position.desc()).limit(1)
    if subject is None:
        queries = [query.where(visible(reader))]
    else:
        # Each is one step in an index, however many events there are of the type.
        about = query.where(events.c.subject == subject)
        queries = [about.where(events.c.recipient == recipient) for recipient in ("", reader)]
    rows = [row for each in queries if (row := session.execute(each).first()) is not None]
    return stored(max(rows, key=attrgetter("position"))) if rows else None


def event_types(session: Session, limit: int | None = None) -> list[str]:
    """Return the types that there are, at most `limit`, by stepping from one to the next in the index."""
    found: list[str] = []
    while limit is None or len(found) < limit:
        query = select(func.min(events.c.type))
        if found:
            query = query.where(events.c.type > found[-1])
        following = session.execute(query).scalar()
        if following is None:
            break
        found.append(following)
    return found


def visible(reader: str) -> ColumnElement[bool]:
    """Return the condition that an event is for everybody, or for this reader."""
    return or_(events.c.recipient == "", events.c.recipient == reader)
