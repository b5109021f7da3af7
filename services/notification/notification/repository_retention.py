"""Finding what may go, and removing it in portions that hold up nobody for long."""

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
class Gone:
    """What is to be removed of one type."""

    type: str
    positions: list[int]


def event_types(session: Session) -> list[str]:
    """Answer the types that there are, by stepping from one to the next in the index."""
    found: list[str] = []
    while True:
        query = select(func.min(events.c.type))
        if found:
            query = query.where(events.c.type > found[-1])
        following = session.execute(query).scalar()
        if following is None:
            return found
        found.append(following)


def removable(session: Session, cut: Cut, retained: int, limit: int) -> Gone:
    """Answer events of a type that may go, the oldest first: too old or too many, not retained, and had by
    everybody.

    Args:
        session: any.
        cut: how long and how many are kept.
        retained: of so many subjects the newest event stays; of more, those longest silent go.
        limit: at most so many.
    """
    through = max(position_before(session, cut.stored_before), _overflow(session, cut.type, cut.count))
    conditions = [events.c.type == cut.type, events.c.position <= through, *_had_by_everybody(session)]
    superseded = _superseded()
    kept_from = _retained_from(session, cut.type, retained)
    conditions.append(superseded if kept_from is None else or_(superseded, events.c.position < kept_from))
    query = select(events.c.position).where(*conditions).order_by(events.c.position).limit(limit)
    return Gone(cut.type, list(session.execute(query).scalars()))


def _overflow(session: Session, type_: str, count: int | None) -> int:
    """Answer the newest position of a type behind which enough are left; 0 if there are not too many."""
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
    """Answer the position before which even the newest of a subject may go; None if there are not so many
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


def remove(session: Session, gone: Gone) -> list[int]:
    """Remove events, and note up to where; answers the positions that went.

    What a subscription has not had is judged again, in the transaction that removes.
    """
    fit = select(events.c.position).where(events.c.position.in_(gone.positions), *_had_by_everybody(session))
    removed = list(session.execute(fit).scalars())
    if not removed:
        return []
    session.execute(delete(events).where(events.c.position.in_(removed)))
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    statement = dialect.insert(removals).values(type=gone.type, through=max(removed))
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
    """Erase the data of events that have expired, and answer what is left of them."""
    found: list[Stored] = []
    rows = session.execute(
        select(events.c.position, events.c.body).where(events.c.expires_at <= now).limit(limit)
    ).all()
    for position, body in rows:
        # Nothing is left to expire.
        session.execute(
            update(events).where(events.c.position == position).values(body=erased(body), expires_at=None)
        )
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
