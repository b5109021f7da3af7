"""The log's queries. Functions of a session: they run inside `Database.read` and `Database.write`."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, false, insert, or_, select, tuple_, update
from sqlalchemy.orm import Session

from notification.event import Draft, Stored
from notification.filters import Filter, literal_prefix
from notification.models import events, log_state, removals

_COLUMNS = (
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


@dataclass(frozen=True, slots=True)
class State:
    """What is known about the log as a whole."""

    epoch: str
    last_position: int
    removed_through: dict[str, int]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a draft.

    Attributes:
        event: the event in the log; None if something else is stored under its name.
        replayed: it had been stored before.
    """

    event: Stored | None
    replayed: bool = False


def load_state(session: Session) -> State:
    """Answer the state of the log, beginning it when there is none."""
    row = session.execute(select(log_state.c.epoch, log_state.c.last_position)).first()
    epoch, last = (row[0], row[1]) if row is not None else (secrets.token_hex(8), 0)
    if row is None:
        session.execute(insert(log_state).values(id=1, epoch=epoch, last_position=last))
    gone = session.execute(select(removals.c.type, removals.c.through)).all()
    return State(epoch, last, dict(map(tuple, gone)))


def store(connection: Connection, drafts: Sequence[Draft], now: float) -> list[Outcome]:
    """Store drafts at the next positions, each once, and answer what became of each.

    Positions are taken inside the transaction that stores, by the one writer: there is never a hole that is
    filled later,
    which a reader would have skipped.
    """
    known = _known(connection, drafts)
    outcomes: list[Outcome] = []
    fresh: list[Draft] = []
    rows: list[dict[str, Any]] = []
    last = connection.execute(select(log_state.c.last_position).with_for_update()).scalar_one()
    for draft in drafts:
        before = known.get((draft.id, draft.source)) or (known.get(_key(draft)) if draft.key else None)
        if before is not None:
            event, fingerprint = before
            outcomes.append(Outcome(event if fingerprint == draft.fingerprint else None, replayed=True))
            continue
        fresh.append(draft)
        event = draft.at(last + len(fresh), now)
        outcomes.append(Outcome(event))
        known[draft.id, draft.source] = (event, draft.fingerprint)
        if draft.key:
            known[_key(draft)] = (event, draft.fingerprint)
        rows.append(_row(event, draft))
    if rows:
        connection.execute(insert(events), rows)
        connection.execute(update(log_state).values(last_position=last + len(rows)))
    return outcomes


def _key(draft: Draft) -> tuple[str, str, str]:
    return (draft.source, "key", draft.key or "")


def _row(event: Stored, draft: Draft) -> dict[str, Any]:
    return {
        "position": event.position,
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "recipient": event.recipient,
        "stored_at": event.stored_at,
        "expires_at": event.expires_at,
        "key": draft.key,
        "fingerprint": draft.fingerprint,
        "body": event.body,
    }


def _known(connection: Connection, drafts: Sequence[Draft]) -> dict[tuple[str, ...], tuple[Stored, bytes]]:
    names = [(draft.id, draft.source) for draft in drafts if not draft.made_id]
    keys = [(draft.source, draft.key) for draft in drafts if draft.key]
    found: dict[tuple[str, ...], tuple[Stored, bytes]] = {}
    for condition in _any_of(names, keys):
        for row in connection.execute(select(*_COLUMNS, events.c.fingerprint, events.c.key).where(condition)):
            entry = (_stored(row), row.fingerprint)
            found[row.id, row.source] = entry
            if row.key:
                found[row.source, "key", row.key] = entry
    return found


def _any_of(names: list[tuple[str, str]], keys: list[tuple[str, str]]) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if names:
        conditions.append(tuple_(events.c.id, events.c.source).in_(names))
    if keys:
        conditions.append(and_(tuple_(events.c.source, events.c.key).in_(keys), events.c.key.is_not(None)))
    return conditions


def _stored(row: Any) -> Stored:
    return Stored(
        row.position,
        row.id,
        row.source,
        row.type,
        row.subject,
        row.recipient,
        row.stored_at,
        row.expires_at,
        row.body,
    )


def events_after(
    session: Session, position: int, wanted: Filter, limit: int, through: int | None = None
) -> list[Stored]:
    """Answer the next events behind a position that a filter accepts, at most `limit`, none behind
    `through`.
    """
    found: list[Stored] = []
    condition = _where(wanted)
    while len(found) < limit:
        query = select(*_COLUMNS).where(events.c.position > position, *condition)
        if through is not None:
            query = query.where(events.c.position <= through)
        rows = session.execute(query.order_by(events.c.position).limit(limit)).all()
        found += [event for event in map(_stored, rows) if wanted.accepts(event)]
        if len(rows) < limit:
            break
        position = rows[-1].position
    return found[:limit]


def newest_events(session: Session, limit: int) -> list[Stored]:
    """Answer the newest events, oldest first."""
    rows = session.execute(select(*_COLUMNS).order_by(events.c.position.desc()).limit(limit)).all()
    return [_stored(row) for row in reversed(rows)]


def event_by_id(session: Session, id_: str, reader: str, source: str | None = None) -> Stored | None:
    """Answer the event of that id which the reader may see; of several publishers', the first that was
    stored.
    """
    query = select(*_COLUMNS).where(events.c.id == id_, _visible(reader))
    if source is not None:
        query = query.where(events.c.source == source)
    row = session.execute(query.order_by(events.c.position).limit(1)).first()
    return None if row is None else _stored(row)


def event_at(session: Session, position: int) -> Stored | None:
    """Answer the event at a position."""
    row = session.execute(select(*_COLUMNS).where(events.c.position == position)).first()
    return None if row is None else _stored(row)


def retained_event(session: Session, type_: str, subject: str | None, reader: str) -> Stored | None:
    """Answer the newest event of a type, and of a subject if one is named, that the reader may see."""
    query = select(*_COLUMNS).where(events.c.type == type_, _visible(reader))
    if subject is not None:
        query = query.where(events.c.subject == subject)
    row = session.execute(query.order_by(events.c.position.desc()).limit(1)).first()
    return None if row is None else _stored(row)


def _visible(reader: str) -> ColumnElement[bool]:
    return or_(events.c.recipient == "", events.c.recipient == reader)


def _where(wanted: Filter) -> list[ColumnElement[bool]]:
    """Answer what the database can decide; the rest of a pattern is decided by `Filter.accepts`."""
    conditions: list[ColumnElement[bool]] = [_visible(wanted.reader)]
    if wanted.source is not None:
        conditions.append(events.c.source == wanted.source)
    if wanted.subject is not None:
        conditions.append(events.c.subject == wanted.subject)
    if wanted.patterns:
        conditions.append(or_(false(), *map(_type_condition, wanted.patterns)))
    return conditions


def _type_condition(pattern: str) -> ColumnElement[bool]:
    prefix = literal_prefix(pattern)
    if prefix == pattern:
        return events.c.type == pattern
    return events.c.type.startswith(prefix, autoescape=True)
