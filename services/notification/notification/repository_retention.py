"""Finding what may go, and removing it in portions that hold up nobody for long."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, aliased

from notification.event import Stored, erased
from notification.models import attempts, deliveries, events, removals, subscriptions
from notification.repository import event_at
from notification.repository_replay import position_before
from notification.repository_subscriptions import latest_position, least_had
from notification.retention import Cut
from notification.rows import changed


@dataclass(frozen=True, slots=True)
class Span:
    """Where in the log events of a type may go.

    Attributes:
        type: the type.
        through: the newest position that is too old, or too much.
        kept_from: before it even the newest event of a subject may go; None if all of those stay.
    """

    type: str
    through: int
    kept_from: int | None


def span_of(session: Session, cut: Cut, retained: int) -> Span | None:
    """Return where events of a type may go; None if all of them stay. It reads the whole index of the type:
    once is enough, since what is stored meanwhile is newer.

    Args:
        session: any.
        cut: how long and how many are kept.
        retained: of so many subjects the newest event stays; of more, those longest silent go.
    """
    through = max(position_before(session, cut.stored_before), _overflow(session, cut.type, cut.count))
    oldest = session.execute(select(func.min(events.c.position)).where(events.c.type == cut.type)).scalar()
    if oldest is None or oldest > through:
        return None
    return Span(cut.type, through, _retained_from(session, cut.type, retained))


def removable(session: Session, span: Span, behind: int, limit: int) -> list[int]:
    """Return the next positions behind one that may go, at most `limit`: not retained, and had by
    everybody.
    """
    conditions = [events.c.type == span.type, events.c.position > behind, events.c.position <= span.through]
    conditions += _had_by_everybody(session)
    superseded = _superseded()
    conditions.append(
        superseded if span.kept_from is None else or_(superseded, events.c.position < span.kept_from)
    )
    query = select(events.c.position).where(*conditions).order_by(events.c.position).limit(limit)
    return list(session.execute(query).scalars())


def _overflow(session: Session, type_: str, count: int | None) -> int:
    """Return the newest position of a type behind which enough are left; 0 if there are not too many."""
    if count is None:
        return 0
    query = select(events.c.position).where(events.c.type == type_).order_by(events.c.position.desc())
    return session.execute(query.offset(count).limit(1)).scalar() or 0


def _superseded() -> ColumnElement[bool]:
    newer = aliased(events)
    return (
        select(newer.c.position)
        .where(
            newer.c.type == events.c.type,
            newer.c.subject == events.c.subject,
            newer.c.recipient == events.c.recipient,
            newer.c.position > events.c.position,
        )
        .exists()
    )


def _retained_from(session: Session, type_: str, retained: int) -> int | None:
    """Return the position before which even the newest of a subject may go; None if there are not so many
    subjects.
    """
    newest = (
        select(func.max(events.c.position).label("position"))
        .where(events.c.type == type_)
        .group_by(events.c.subject, events.c.recipient)
        .subquery()
    )
    if retained == 0:
        return latest_position(session) + 1
    query = select(newest.c.position).order_by(newest.c.position.desc()).offset(retained - 1).limit(1)
    return session.execute(query).scalar()


def _had_by_everybody(session: Session) -> list[ColumnElement[bool]]:
    waiting = (
        select(deliveries.c.id)
        .join(subscriptions, and_(subscriptions.c.name == deliveries.c.subscription, subscriptions.c.enabled))
        .where(deliveries.c.position == events.c.position, deliveries.c.status.in_(("pending", "dead")))
        .exists()
    )
    had = least_had(session)
    return [~waiting] if had is None else [~waiting, events.c.position <= had]


def remove(session: Session, type_: str, positions: Sequence[int]) -> list[int]:
    """Remove events of a type, and note up to where; answers the positions that went.

    What a subscription has not had is judged again, in the transaction that removes.
    """
    fit = select(events.c.position).where(events.c.position.in_(positions), *_had_by_everybody(session))
    removed = list(session.execute(fit).scalars())
    if not removed:
        return []
    session.execute(delete(events).where(events.c.position.in_(removed)))
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    statement = dialect.insert(removals).values(type=type_, through=max(removed))
    farther = {"through": statement.excluded.through}
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["type"], set_=farther, where=removals.c.through < statement.excluded.through
        )
    )
    return removed


def has_expired(session: Session, now: float) -> bool:
    """Tell whether there is an event whose data is to be erased."""
    return (
        session.execute(select(events.c.position).where(events.c.expires_at <= now).limit(1)).first()
        is not None
    )


def erase_expired(session: Session, now: float, limit: int) -> list[Stored]:
    """Erase the data of events that have expired, and return what is left of them."""
    found: list[Stored] = []
    rows = session.execute(
        select(events.c.position, events.c.body).where(events.c.expires_at <= now).limit(limit)
    ).all()
    for position, body in rows:
        # Nothing is left to expire, and nothing by which the data could be guessed.
        left = {"body": erased(body), "expires_at": None, "fingerprint": b""}
        session.execute(update(events).where(events.c.position == position).values(left))
        event = event_at(session, position)
        assert event is not None  # noqa: S101 - it was just changed
        found.append(event)
    return found


def prune_deliveries(session: Session, before: float, limit: int) -> int:
    """Remove old attempts and deliveries that are finished since before a moment; answers how many
    deliveries.
    """
    old = select(attempts.c.id).where(attempts.c.at < before).limit(limit)
    session.execute(delete(attempts).where(attempts.c.id.in_(old)))
    finished = select(deliveries.c.id).where(deliveries.c.finished_at < before).limit(limit)
    result = session.execute(delete(deliveries).where(deliveries.c.id.in_(finished)))
    return changed(result)
