"""Finding events by filters, in a log of any size."""

from collections.abc import Collection, Iterable
from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement, Select, false, or_, select
from sqlalchemy.orm import Session

from notification.event import Stored
from notification.filters import Filter, literal_prefix
from notification.models import events
from notification.repository import COLUMNS, stored, visible

MAX_RANGES = 64
"""Of more types than these, events are found by reading one after the other."""
MOST_ROWS = 4000
NEAR_POSITIONS = 4000


def events_after(
    session: Session,
    position: int,
    wanted: Filter,
    limit: int,
    through: int | None = None,
    types: Collection[str] | None = None,
) -> list[Stored]:
    """Return the next events behind a position that a filter accepts, at most `limit`, none behind
    `through`.

    Args:
        session: any.
        position, wanted, limit, through: see above.
        types: all that there are, if that is known: then those that are asked for are looked up one by one,
            however many others lie between.
    """
    ranges = _ranges(wanted, types)
    if ranges is None:
        return _scan(session, position, wanted, limit, through)
    # What is wanted is often near: only behind this is it looked up.
    near = position + NEAR_POSITIONS
    found = _scan(session, position, wanted, limit, near if through is None else min(near, through))
    if len(found) < limit and (through is None or near < through):
        rest, farther = limit - len(found), list[Stored]()
        for conditions in ranges:
            farther += map(stored, session.execute(_behind(near, through, rest, conditions)))
        found += sorted(farther, key=attrgetter("position"))[:rest]
    return found


def _ranges(wanted: Filter, types: Collection[str] | None) -> list[list[ColumnElement[bool]]] | None:
    """Return conditions that each describe one range of an index, and together what a filter accepts; None
    if that would be too many, or is of no use.
    """
    if types is None or (not wanted.patterns and wanted.subject is None):
        return None
    asked = [type_ for type_ in types if wanted.wants_type(type_)]
    if len(asked) > MAX_RANGES:
        return None
    shared = [events.c.source == wanted.source] if wanted.source is not None else []
    found: list[list[ColumnElement[bool]]] = []
    for type_ in asked:
        subjects = wanted.subjects(type_)
        if subjects is None:
            found.append([events.c.type == type_, visible(wanted.reader), *shared])
            continue
        found += [
            [events.c.type == type_, events.c.subject == subject, events.c.recipient == recipient, *shared]
            for subject in sorted(subjects)
            for recipient in ("", wanted.reader)
        ]
    return found if len(found) <= 2 * MAX_RANGES else None


def _scan(session: Session, position: int, wanted: Filter, limit: int, through: int | None) -> list[Stored]:
    found: list[Stored] = []
    conditions, size = _where(wanted), limit
    while len(found) < limit:
        rows = session.execute(_behind(position, through, size, conditions)).all()
        found += wanted.chosen(map(stored, rows))
        if len(rows) < size:
            break
        position, size = rows[-1].position, min(2 * size, MOST_ROWS)
    return found[:limit]


def _behind(
    position: int, through: int | None, limit: int, conditions: Iterable[ColumnElement[bool]]
) -> Select[Any]:
    query = select(*COLUMNS).where(events.c.position > position, *conditions)
    if through is not None:
        query = query.where(events.c.position <= through)
    return query.order_by(events.c.position).limit(limit)


def _where(wanted: Filter) -> list[ColumnElement[bool]]:
    """Return what the database can decide; the rest of a pattern is decided by `Filter.chosen`."""
    conditions: list[ColumnElement[bool]] = [visible(wanted.reader)]
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
