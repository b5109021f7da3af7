"""Statements that are put together once, and from then on handed to the driver as they are.

For a row that is written with each request, putting an SQLAlchemy statement into words, its parameters into
place and what it selects into rows costs several times what the database does with it.
"""

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, Protocol

from sqlalchemy import Boolean, Connection, Dialect, Executable, Insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.dml import UpdateBase

_MOST_TOGETHER = 32
_MARKS = re.compile(r"\(\?(, \?)*\)")


class Prepared:
    """An insert, update or delete whose parameters are all given by name with each row.

    Args:
        statement: with the parameters as `bindparam`s; those of an insert are the columns.
        columns: which columns an insert gives, if not all; those with a default in Python are always given.
    """

    def __init__(self, statement: UpdateBase, columns: Iterable[str] | None = None) -> None:
        # Nothing is asked back, such as the key that the database chose.
        self._statement = statement.inline() if isinstance(statement, Insert) else statement
        self._columns = None if columns is None else list(columns)
        self._worded: dict[str, _Worded] = {}

    def run(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        """Execute it for each row, in one call of the driver; return how many rows of the table changed.

        Where there is more than one row, some drivers know no such number, and answer -1.
        """
        if not rows:
            return 0
        worded = self._for(connection)
        return worded.execute(connection, [worded.parameters(row) for row in rows])

    def run_rows(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> int:
        """As `run`, for an insert whose rows have every column in the table's order, as SQLite stores it.

        That is, numbers for flags too. SQLite's driver gets the rows as they are; others as they need them.
        """
        if not rows:
            return 0
        worded = self._for(connection)
        if not worded.takes_rows:
            rows = [worded.placed(row) for row in rows]
        return worded.execute(connection, rows)

    def _for(self, connection: Connection) -> "_Worded":
        dialect = connection.dialect
        worded = self._worded.get(dialect.name)
        if worded is None:
            worded = self._worded[dialect.name] = _Worded(self._statement, self._columns, dialect)
        return worded


class _Worded:
    """A statement in the words of one driver."""

    def __init__(self, statement: UpdateBase, columns: list[str] | None, dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect, column_keys=columns)
        self.text: str = compiled.string
        names: Sequence[str] = compiled.positiontup if compiled.positional else list(compiled.binds)
        self._names = None if compiled.positional else names
        self._values = itemgetter(*names) if len(names) > 1 else lambda row: (row[names[0]],)
        self._adapt: list[tuple[int, Callable[[Any], Any]]] = []
        for place, name in enumerate(names):
            kind = compiled.binds[name].type
            adapt = kind.dialect_impl(dialect).bind_processor(dialect)
            if adapt is None and isinstance(kind, Boolean):
                adapt = _flag
            if adapt is not None:
                self._adapt.append((place, adapt))

        # SQLite's driver lets go of the interpreter for each row and waits until it has it again. With many
        # rows in one statement it does so once.
        self.takes_rows = dialect.name == "sqlite"
        joined = self.takes_rows and isinstance(statement, Insert)
        row = self.text.partition(" VALUES ")[2] if joined else ""
        self._row = row if _MARKS.fullmatch(row) else ""

    def execute(self, connection: Connection, parameters: Sequence[Any]) -> int:
        """Execute it for each of these, which are as the driver takes them."""
        if len(parameters) == 1:
            return _execute(connection, self.text, parameters[0]).rowcount
        if not self._row:
            return _execute(connection, self.text, parameters, many=True).rowcount
        start = 0
        for size in _sizes(len(parameters)):
            together = tuple(chain.from_iterable(parameters[start : start + size]))
            _execute(connection, self.text + f", {self._row}" * (size - 1), together)
            start += size
        return start

    def parameters(self, row: Mapping[str, Any]) -> Any:
        """Put a row's values into the form and the order that the driver takes."""
        return self.placed(self._values(row))

    def placed(self, given: tuple[Any, ...]) -> Any:
        """Put values, in the statement's order, into the form that the driver takes."""
        values: Any = given
        if self._adapt:
            values = list(values)
            for place, adapt in self._adapt:
                values[place] = adapt(values[place])
        return tuple(values) if self._names is None else dict(zip(self._names, values, strict=True))


def _flag(value: object) -> bool | None:
    return None if value is None else bool(value)


class Listed:
    """A statement with a list of values, `column.in_(bindparam("each", expanding=True))`.

    Lists of nearly the same length share their words: the last value is given more than once, which changes
    nothing about what is in the list. What is selected comes as the driver has it.

    Args:
        statement: a select, update or delete; the list is its parameter `each`. Values of other parameters
            are given as they are for the driver.
    """

    def __init__(self, statement: Executable) -> None:
        self._statement: Any = statement
        self._expanded: dict[tuple[str, int], Any] = {}

    def rows(self, connection: Connection, each: Sequence[Any], **others: Any) -> Sequence[Sequence[Any]]:
        """Execute it as `run` does; return what it selects."""
        return _execute(connection, *self.worded(connection.dialect, each, **others)).fetchall()

    def run(self, connection: Connection, each: Sequence[Any], **others: Any) -> int:
        """Execute it for this list, which is not empty; of values, or of tuples where it asks for these.
        Answer how many rows of the table changed.
        """
        return _execute(connection, *self.worded(connection.dialect, each, **others)).rowcount

    def worded(self, dialect: Dialect, each: Sequence[Any], **others: Any) -> tuple[str, Any]:
        """Return its words for this list, and their parameters as the driver takes them."""
        size = 1 << (len(each) - 1).bit_length()
        expanded = self._expanded.get((dialect.name, size))
        if expanded is None:
            compiled: Any = self._statement.compile(dialect=dialect)
            expanded = compiled.construct_expanded_state({**others, "each": [each[0]] * size})
            self._expanded[dialect.name, size] = expanded
        values = {**expanded.parameters, **others}
        padded = [*each, *[each[-1]] * (size - len(each))]
        values.update(zip(expanded.parameter_expansion["each"], _flat(padded), strict=True))
        positions = expanded.positiontup
        given = values if positions is None else tuple([values[name] for name in positions])
        return expanded.statement, given


class _Executed(Protocol):
    """What both a driver's cursor and SQLAlchemy's are."""

    @property
    def rowcount(self) -> int: ...

    def fetchall(self) -> Sequence[Sequence[Any]]: ...


def _execute(connection: Connection, words: str, parameters: Any, *, many: bool = False) -> _Executed:
    """Execute in the connection's transaction, or begin it.

    On SQLite by the driver's own cursor: SQLAlchemy's takes longer over the words than the database does.
    """
    if connection.dialect.name != "sqlite":
        return connection.exec_driver_sql(words, parameters)
    if not connection.in_transaction():
        connection.begin()
    cursor: sqlite3.Cursor = connection.connection.cursor()  # type: ignore[assignment]
    try:
        return cursor.executemany(words, parameters) if many else cursor.execute(words, parameters)
    except sqlite3.Error as error:
        # As those who ask by SQLAlchemy know them; what was to be written is in none.
        raise DBAPIError.instance(
            words, None, error, sqlite3.Error, hide_parameters=True, dialect=connection.dialect
        ) from error


def _flat(each: Sequence[Any]) -> Iterable[Any]:
    return chain.from_iterable(each) if isinstance(each[0], tuple) else each


def _sizes(count: int) -> Iterator[int]:
    """Take a number apart into few different ones, so that the driver keeps the statements that it parsed."""
    size = _MOST_TOGETHER
    while count:
        while size > count:
            size //= 2
        yield size
        count -= size
