"""Queries. Each takes the session of a transaction that is under way."""

from collections.abc import Callable

from sqlalchemy import or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from action.models import Action, Sequence

_INSERTS: dict[str, Callable[..., sqlite.Insert | postgresql.Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}


def get(session: Session, action_id: int, *, to_change: bool = False) -> Action | None:
    """The action of that id; nobody else changes it until the end of the transaction if it is `to_change`."""
    return session.get(Action, action_id, with_for_update=to_change)


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
    """Take the character's next number. Without a commit it is given back: no gap, no double.

    It is one statement: of replicas that ask at once one goes first, and the others wait for its commit.
    """
    insert = _INSERTS[session.get_bind().dialect.name]
    first = insert(Sequence).values(character_id=character_id, last=1)
    taken = first.on_conflict_do_update(
        index_elements=[Sequence.character_id], set_={"last": Sequence.last + 1}
    ).returning(Sequence.last)
    number: int = session.execute(taken).scalar_one()
    return number
