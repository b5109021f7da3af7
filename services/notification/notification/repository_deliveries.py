"""The deliveries' queries."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fountain_common.db import notify
from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from notification.lanes import Head
from notification.models import attempts, deliveries, events, subscriptions
from notification.rows import changed

MOVED = "deliveries moved"
"""Couriers are told that what waits has another time."""
_HEAD = (
    deliveries.c.id,
    deliveries.c.position,
    deliveries.c.subject,
    deliveries.c.attempts,
    deliveries.c.next_at,
)


@dataclass(frozen=True, slots=True)
class Due:
    """An event that a subscription is to get."""

    position: int
    subject: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try.

    Attributes:
        at: unix seconds.
        latency_ms: until the answer, or until there was none.
        status_code: of the answer.
        error: why it failed; None if it did not.
        answer: the beginning of what the receiver said.
        owner: of the subscription at that time; the answer is for him alone.
    """

    at: float
    latency_ms: float
    status_code: int | None
    error: str | None
    answer: bytes
    owner: str = ""


def enqueue(
    session: Session, subscription: str, due: Sequence[Due], now: float, *, again: bool = False
) -> None:
    """Make deliveries; one that is there already stays as it is, or with `again` begins anew.

    Args:
        session: of the writer.
        subscription: its name; if it has gone, nothing happens.
        due: the events.
        now: unix seconds.
        again: for a replay.
    """
    if not due or not _exists(session, subscription):
        return
    rows = [
        {
            "subscription": subscription,
            "position": item.position,
            "subject": item.subject,
            "status": "pending",
            "attempts": 0,
            "next_at": now,
            "created_at": now,
        }
        for item in due
    ]
    session.execute(_upsert(session, again=again), rows)


def _exists(session: Session, subscription: str) -> bool:
    return (
        session.execute(select(subscriptions.c.name).where(subscriptions.c.name == subscription)).first()
        is not None
    )


def _upsert(session: Session, *, again: bool) -> Any:
    dialect: Any = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    statement = dialect.insert(deliveries)
    names = ["subscription", "position"]
    if not again:
        return statement.on_conflict_do_nothing(index_elements=names)
    anew = {"status": "pending", "attempts": 0, "next_at": statement.excluded.next_at, "finished_at": None}
    return statement.on_conflict_do_update(index_elements=names, set_=anew)


def bring_forward(session: Session, seconds: float, now: float) -> None:
    """Have everything that waits tried so much sooner: the clock was set back by that.

    Args:
        session: of the database.
        seconds: by how much.
        now: unix seconds; what is due by then stays as it is.
    """
    session.execute(
        update(deliveries)
        .where(deliveries.c.status == "pending", deliveries.c.next_at > now)
        .values(next_at=deliveries.c.next_at - seconds)
    )
    notify(session, MOVED)


def heads(session: Session, subscription: str, limit: int) -> list[Head]:
    """Return the earliest pending delivery of each subject, the earliest first, at most `limit` of them."""
    earliest = (
        select(func.min(deliveries.c.position))
        .where(deliveries.c.subscription == subscription, deliveries.c.status == "pending")
        .group_by(deliveries.c.subject)
    )
    query = (
        select(*_HEAD)
        .where(deliveries.c.subscription == subscription, deliveries.c.position.in_(earliest))
        .order_by(deliveries.c.position)
        .limit(limit)
    )
    return [Head(*row) for row in session.execute(query)]


def head_of(session: Session, subscription: str, subject: str) -> Head | None:
    """Return the earliest pending delivery of a subject."""
    query = (
        select(*_HEAD)
        .where(
            deliveries.c.subscription == subscription,
            deliveries.c.status == "pending",
            deliveries.c.subject == subject,
        )
        .order_by(deliveries.c.position)
        .limit(1)
    )
    row = session.execute(query).first()
    return None if row is None else Head(*row)


def record(
    session: Session,
    head: Head,
    attempt: Attempt | None,
    *,
    status: str,
    next_at: float,
    now: float,
) -> None:
    """Write down an attempt and what becomes of its delivery, unless that was begun anew meanwhile: then it
    is still to be made.

    Args:
        session: of the writer.
        head: the delivery as it was taken.
        attempt: None if nothing was sent.
        status: of the delivery.
        next_at: unix seconds, while it is pending.
        now: unix seconds.
    """
    # What begins anew is due later than what was taken, and has no attempts behind it; a clock that is set
    # back only brings it forward.
    as_taken = (
        deliveries.c.status == "pending",
        deliveries.c.attempts == head.attempts,
        deliveries.c.next_at <= head.due,
    )
    session.execute(
        update(deliveries)
        .where(deliveries.c.id == head.delivery, *as_taken)
        .values(
            status=status,
            attempts=head.attempts + (attempt is not None),
            next_at=next_at,
            finished_at=None if status == "pending" else now,
        )
    )
    # The subscription may have been removed meanwhile, and its deliveries with it.
    still = session.execute(select(deliveries.c.id).where(deliveries.c.id == head.delivery)).first()
    if attempt is not None and still is not None:
        session.execute(
            insert(attempts).values(
                delivery=head.delivery,
                at=attempt.at,
                latency_ms=attempt.latency_ms,
                status_code=attempt.status_code,
                error=attempt.error,
                answer=attempt.answer,
                owner=attempt.owner,
            )
        )


def list_deliveries(
    session: Session, subscription: str, status: str | None, before: int | None, limit: int
) -> list[dict[str, Any]]:
    """Return deliveries, those of the newest events first, each with its event's names and its attempts.

    Args:
        session: any.
        subscription: its name.
        status: only those.
        before: only those of events at smaller positions.
        limit: at most so many.
    """
    query = (
        select(deliveries, events.c.id.label("event_id"), events.c.source, events.c.type, events.c.recipient)
        .join(events, events.c.position == deliveries.c.position, isouter=True)
        .where(deliveries.c.subscription == subscription)
    )
    if status is not None:
        query = query.where(deliveries.c.status == status)
    if before is not None:
        query = query.where(deliveries.c.position < before)
    rows = session.execute(query.order_by(deliveries.c.position.desc()).limit(limit)).mappings().all()
    tried = _attempts_of(session, [row["id"] for row in rows])
    return [{**row, "tried": tried.get(row["id"], [])} for row in rows]


def _attempts_of(session: Session, ids: Iterable[int]) -> dict[int, list[Attempt]]:
    found: dict[int, list[Attempt]] = {}
    query = select(attempts).where(attempts.c.delivery.in_(list(ids))).order_by(attempts.c.id)
    for row in session.execute(query):
        entry = Attempt(row.at, row.latency_ms, row.status_code, row.error, row.answer, row.owner)
        found.setdefault(row.delivery, []).append(entry)
    return found


def delivery_owner(session: Session, delivery: int) -> tuple[str, str] | None:
    """Return the name and the owner of a delivery's subscription."""
    row = session.execute(
        select(subscriptions.c.name, subscriptions.c.owner)
        .join(deliveries, deliveries.c.subscription == subscriptions.c.name)
        .where(deliveries.c.id == delivery)
    ).first()
    return None if row is None else (row[0], row[1])


def begin_anew(session: Session, delivery: int, now: float) -> bool:
    """Make a delivery pending, with its whole schedule before it; tells whether its event is still there."""
    kept = select(events.c.position).where(events.c.position == deliveries.c.position).exists()
    result = session.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery, kept)
        .values(status="pending", attempts=0, next_at=now, finished_at=None)
    )
    return bool(changed(result))


def drop_removed(session: Session, subscription: str, now: float) -> list[int]:
    """Give up what waits for events that retention has removed; answers their positions."""
    gone = ~select(events.c.position).where(events.c.position == deliveries.c.position).exists()
    waiting = (deliveries.c.subscription == subscription, deliveries.c.status == "pending", gone)
    positions = list(session.execute(select(deliveries.c.position).where(*waiting)).scalars())
    if positions:
        session.execute(update(deliveries).where(*waiting).values(status="dropped", finished_at=now))
    return positions


def dead_letters(session: Session, subscription: str) -> list[Due]:
    """Return the events that a subscription was given up on, as far as they are still there."""
    query = (
        select(deliveries.c.position, deliveries.c.subject)
        .join(events, events.c.position == deliveries.c.position)
        .where(deliveries.c.subscription == subscription, deliveries.c.status == "dead")
        .order_by(deliveries.c.position)
    )
    return [Due(*row) for row in session.execute(query)]


@dataclass(frozen=True, slots=True)
class Queue:
    """How a subscription stands: how much waits and since when, and how much was given up.

    Attributes:
        oldest: unix seconds; None if nothing waits, or the subscription is disabled and takes nothing.
    """

    subscription: str
    pending: int
    dead: int
    oldest: float | None


def queues(session: Session) -> list[Queue]:
    """Return how each subscription stands. What is delivered is not read, however much that is."""
    found: list[Queue] = []
    for name, enabled in session.execute(select(subscriptions.c.name, subscriptions.c.enabled)).all():
        pending, oldest = _standing(session, name, "pending")
        dead, _ = _standing(session, name, "dead")
        found.append(Queue(name, pending, dead, oldest if enabled else None))
    return found


def _standing(session: Session, subscription: str, status: str) -> tuple[int, float | None]:
    query = select(func.count(), func.min(deliveries.c.created_at)).where(
        deliveries.c.subscription == subscription, deliveries.c.status == status
    )
    count, oldest = session.execute(query).one()
    return count, oldest
