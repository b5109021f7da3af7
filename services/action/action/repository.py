"""Queries. Each takes the session of a transaction that is under way."""

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from action.models import Action, Sequence


def get(session: Session, action_id: int) -> Action | None:
    """The action of that id."""
    return session.get(Action, action_id)


def page(
    session: Session, after: int, limit: int, character_id: int | None, keyword: str | None
) -> list[Action]:
    """The next actions by id; `keyword` is looked for, as it is, in description and comment."""
    query = select(Action).where(Action.action_id > after).order_by(Action.action_id).limit(limit)
    if character_id is not None:
        query = query.where(Action.character_id == character_id)
    if keyword:
        found = (
            column.icontains(keyword, autoescape=True) for column in (Action.description, Action.comment)
        )
        query = query.where(or_(*found))
    return list(session.scalars(query))


def next_number(session: Session, character_id: int) -> int:
    """Take the character's next number. Without a commit it is given back: no gap, no double."""
    sequence = session.get(Sequence, character_id, with_for_update=True)
    if sequence is None:
        sequence = Sequence(character_id=character_id, last=0)
        session.add(sequence)
    sequence.last += 1
    return sequence.last
