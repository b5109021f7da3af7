"""Finding past events for a replay."""

from collections.abc import Collection

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from notification.filters import Filter
from notification.models import events
from notification.repository_deliveries import Due
from notification.repository_search import events_after

_BATCH = 1000


def position_before(session: Session, moment: float) -> int:
    """Return the position behind which everything was stored at a moment or later.

    Moments grow with positions but for corrections of the clock, so halving finds it without an index of its
    own.

    Args:
        session: any.
        moment: unix seconds.
    """
    # Two questions: put as one, SQLite would read all positions to answer it.
    low = session.execute(select(func.min(events.c.position))).scalar()
    high = session.execute(select(func.max(events.c.position))).scalar()
    if low is None or high is None:
        return 0
    low -= 1
    while low < high:
        middle = (low + high + 1) // 2
        row = session.execute(
            select(events.c.position, events.c.stored_at)
            .where(events.c.position <= middle, events.c.position > low)
            .order_by(events.c.position.desc())
            .limit(1)
        ).first()
        if row is None or row.stored_at < moment:
            low = middle
        else:
            high = row.position - 1
    return int(low)


def events_since(
    session: Session, position: int, wanted: Filter, through: int, types: Collection[str] | None
) -> list[Due]:
    """Return all events behind a position that a filter accepts, none behind `through`; `types` as for
    `events_after`.
    """
    found: list[Due] = []
    while True:
        batch = events_after(session, position, wanted, _BATCH, through, types)
        found += [Due(event.position, event.subject) for event in batch]
        if len(batch) < _BATCH:
            return found
        position = batch[-1].position
