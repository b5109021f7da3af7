"""Indexes that follow time: those of one moment lie together, whatever they are about.

An index by a name alone puts each new row where that name's others lie. Rows that are written together then
go to as many pages as there are names among them, and for each of these a whole page is copied, written and
synced. An index by era first, which is the row's position divided by `ERA_ROWS`, puts them onto a few pages;
who looks for a name looks into the eras one after the other, the newest first.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Integer, Row, Select, TextClause, func, literal_column, select, text
from sqlalchemy.orm import InstrumentedAttribute, Session

ERA_ROWS: Final = 1024
_MOST_ERAS: Final = 256
"""So many are looked into by one statement."""


def era_in_words(position: str) -> TextClause:
    """Return the era of a column, as an index has it."""
    return text(f"({position} / {ERA_ROWS})")


def newest_first(
    session: Session,
    query: Select[Any],
    position: InstrumentedAttribute[int],
    *,
    limit: int,
    before: int | None = None,
) -> list[Row[Any]]:
    """Return up to `limit` rows of a query, the newest first.

    Args:
        session: to read with.
        query: of a table that has an index by era and then by what the query asks for.
        position: the table's primary key, which grows from row to row.
        limit: 1 or more.
        before: only rows before this position.
    """
    # One by one: a database that is asked for both at once may go over the whole table.
    oldest, newest = session.scalar(select(func.min(position))), session.scalar(select(func.max(position)))
    if oldest is None or newest is None:
        return []
    if before is not None:
        query = query.where(position < before)
        newest = min(newest, before - 1)
    era: ColumnElement[int] = position.op("/", return_type=Integer())(literal_column(str(ERA_ROWS)))
    query = query.order_by(position.desc())
    found: list[Row[Any]] = []
    for eras in _portions(newest // ERA_ROWS, oldest // ERA_ROWS):
        found += session.execute(query.where(era.in_(eras)).limit(limit - len(found))).all()
        if len(found) == limit:
            break
    return found


def _portions(newest: int, oldest: int) -> Iterator[Sequence[int]]:
    """Take eras apart: the newest alone, where what is frequent is found, and then more and more."""
    size = 1
    while newest >= oldest:
        portion = range(newest, max(newest - size, oldest - 1), -1)
        yield portion
        newest, size = portion[-1] - 1, min(size * 4, _MOST_ERAS)
