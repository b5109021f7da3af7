"""Statements that go to the driver as they are."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fountain_common.db import Database, UtcDateTime
from fountain_common.statements import Listed, Prepared
from sqlalchemy import (
    JSON,
    BindParameter,
    Boolean,
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    bindparam,
    delete,
    insert,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.exc import IntegrityError

THINGS = Table(
    "things",
    MetaData(),
    Column("number", Integer, primary_key=True),
    Column("name", String(20), nullable=False),
    Column("data", JSON, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("raw", LargeBinary),
    Column("old", Boolean, nullable=False),
    Column("note", String(20), server_default="as the table says"),
)
ADD = Prepared(insert(THINGS), ("name", "data", "at", "raw", "old"))
WHOLE = Prepared(insert(THINGS))
RENAME = Prepared(update(THINGS).where(THINGS.c.name == bindparam("before")).values(name=bindparam("after")))
EACH: BindParameter[Any] = bindparam("each", expanding=True)
NAMED = Listed(
    select(THINGS.c.name)
    .where(THINGS.c.name.in_(EACH), THINGS.c.old == bindparam("old"))
    .order_by(THINGS.c.number)
)
NOW = datetime(2026, 11, 22, 12, 0, 0, 123456, UTC)


def thing(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "data": {"ä": [1, None]}, "at": NOW, "raw": b"\0\xff", "old": True, **more}


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    THINGS.metadata.create_all(database.engine)
    with database.engine.connect() as connection, connection.begin():
        yield connection
    database.engine.dispose()


def named(connection: Connection, among: list[str], *, old: bool) -> list[str]:
    return [name for (name,) in NAMED.rows(connection, among, old=old)]


def names(connection: Connection) -> list[str]:
    return list(connection.scalars(select(THINGS.c.name).order_by(THINGS.c.number)))


def test_rows_come_back_as_they_were_given(connection: Connection) -> None:
    ADD.run(connection, [thing("a"), thing("b", raw=None, old=False)])
    found = connection.execute(select(THINGS).order_by(THINGS.c.number)).mappings().all()
    assert [(row["name"], row["data"], row["at"], row["raw"], row["old"]) for row in found] == [
        ("a", {"ä": [1, None]}, NOW, b"\0\xff", True),
        ("b", {"ä": [1, None]}, NOW, None, False),
    ]


def test_what_is_not_given_is_as_the_table_says(connection: Connection) -> None:
    ADD.run(connection, [thing("a")])
    assert connection.scalar(select(THINGS.c.note)) == "as the table says"


@pytest.mark.parametrize("count", [1, 2, 3, 31, 32, 33, 63, 100])
def test_many_rows_are_all_there_and_in_their_order(connection: Connection, count: int) -> None:
    given = [f"n{number}" for number in range(count)]
    assert ADD.run(connection, [thing(name) for name in given]) == count
    assert names(connection) == given


def test_a_change_says_how_many_rows_it_met(connection: Connection) -> None:
    ADD.run(connection, [thing("a"), thing("b")])
    assert RENAME.run(connection, [{"before": "a", "after": "c"}]) == 1
    assert RENAME.run(connection, [{"before": "a", "after": "d"}]) == 0
    assert names(connection) == ["c", "b"]
    assert (
        Prepared(delete(THINGS).where(THINGS.c.name == bindparam("of"))).run(connection, [{"of": "c"}]) == 1
    )
    assert names(connection) == ["b"]


def test_no_rows_are_nothing(connection: Connection) -> None:
    assert ADD.run(connection, []) == 0
    assert WHOLE.run_rows(connection, []) == 0


def stored(connection: Connection) -> list[tuple[Any, ...]]:
    """What lies in the table, and as what."""
    columns = ", ".join(f"{column.name}, typeof({column.name})" for column in THINGS.c)
    return [tuple(row) for row in connection.execute(text(f"SELECT {columns} FROM things ORDER BY number"))]


@pytest.mark.parametrize("count", [1, 2, 3, 33])
def test_whole_rows_are_stored_as_others_are(connection: Connection, count: int) -> None:
    numbers = range(1, count + 1)
    WHOLE.run(connection, [thing(f"n{number}", number=number, note=None) for number in numbers])
    expected = stored(connection)
    connection.execute(delete(THINGS))
    at = expected[0][6]
    rows = [
        (number, f"n{number}", '{"\u00e4":[1,null]}', at, bytearray(b"\0\xff"), 1, None) for number in numbers
    ]
    assert WHOLE.run_rows(connection, rows) == count
    assert stored(connection) == expected


def test_whole_rows_are_put_into_form_for_other_databases() -> None:
    ran: list[tuple[str, Any]] = []

    class Elsewhere:
        dialect = psycopg.dialect()

        def exec_driver_sql(self, words: str, parameters: Any) -> Any:
            ran.append((words, parameters))
            return SimpleNamespace(rowcount=1)

    flags = Table("flags", MetaData(), Column("id", Integer, primary_key=True), Column("old", Boolean))
    Prepared(insert(flags)).run_rows(cast("Connection", Elsewhere()), [(1, 1), (2, 0), (3, None)])
    [(_, parameters)] = ran
    assert [tuple(each.items()) for each in parameters] == [
        (("id", 1), ("old", True)),
        (("id", 2), ("old", False)),
        (("id", 3), ("old", None)),
    ]
    assert [type(each["old"]) for each in parameters] == [bool, bool, type(None)]


def test_a_value_is_never_part_of_the_statement(connection: Connection) -> None:
    hostile = "'); DROP--%s ?"
    ADD.run(connection, [thing(hostile)])
    RENAME.run(connection, [{"before": hostile, "after": "%(x)s"}])
    assert names(connection) == ["%(x)s"]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 33])
def test_all_of_a_list_are_found_and_nothing_else(connection: Connection, count: int) -> None:
    ADD.run(connection, [thing(f"n{number}") for number in range(40)])
    ADD.run(connection, [thing("n1", old=False)])
    wanted = [f"n{number}" for number in range(count)]
    for _ in range(2):
        assert named(connection, wanted, old=True) == wanted
    assert named(connection, ["other", *wanted[::-1]], old=True) == wanted
    assert named(connection, wanted, old=False) == ["n1"][: count - 1]


def test_a_list_of_pairs_meets_whole_pairs_alone(connection: Connection) -> None:
    ADD.run(connection, [thing("a"), thing("b"), thing("a")])
    pairs = Listed(delete(THINGS).where(tuple_(THINGS.c.number, THINGS.c.name).in_(EACH)))
    assert pairs.run(connection, [(1, "a"), (2, "a"), (3, "a")]) == 2
    assert names(connection) == ["b"]


def test_a_value_of_a_list_is_never_part_of_the_statement(connection: Connection) -> None:
    hostile = "'); DROP--%s ?"
    ADD.run(connection, [thing(hostile), thing("b")])
    assert named(connection, [hostile], old=True) == [hostile]


def test_a_row_that_lacks_a_parameter_is_refused(connection: Connection) -> None:
    with pytest.raises(KeyError, match="after"):
        RENAME.run(connection, [{"before": "a"}])


def test_a_moment_without_a_zone_is_refused_as_everywhere(connection: Connection) -> None:
    with pytest.raises(ValueError, match="time zone"):
        ADD.run(connection, [thing("a", at=datetime(2026, 1, 1))])  # noqa: DTZ001


def test_what_the_database_refuses_is_raised_as_everywhere_and_says_no_value(connection: Connection) -> None:
    row = (1, "m4rk3r", "{}", "2026-01-01", None, 0, None)
    WHOLE.run_rows(connection, [row])
    with pytest.raises(IntegrityError) as refused:
        WHOLE.run_rows(connection, [row])
    assert "m4rk3r" not in str(refused.value)
    assert names(connection) == ["m4rk3r"], "the transaction goes on"


def test_what_is_written_outside_of_a_transaction_begins_one(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    THINGS.metadata.create_all(database.engine)
    with database.engine.connect() as connection:
        ADD.run(connection, [thing("a")])
        assert connection.in_transaction()
        connection.rollback()
        assert names(connection) == []
    database.engine.dispose()
