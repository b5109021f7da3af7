"""Storing what is new without looking it up, and what is not by looking it up: the outcome is the same."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from fountain_common.db import Database
from hypothesis import given
from hypothesis import strategies as st
from notification.board import MIGRATIONS
from notification.event import Draft
from notification.log import EventLog
from notification.models import events, log_state, metadata
from notification.repository import Batch, Clash, store, store_new
from sqlalchemy import Connection, Engine, create_engine, event, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import StaticPool

DRAFT = st.builds(
    lambda id_, source, data, key: Draft.of(
        id=id_, source=source, type="a.b", time=0, data=data, key=key and (key if id_ is None else id_)
    ),
    st.sampled_from([None, "x", "y", "z", "v", "w"]),
    st.sampled_from(["shop", "other"]),
    st.sampled_from([1, 1, 1, 2]),
    st.sampled_from([None, "x", "y", "k"]),
)
GROUP = st.lists(
    st.builds(Batch, st.lists(DRAFT, min_size=1, max_size=3), st.just(5.0)), min_size=1, max_size=3
)


def empty() -> Engine:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    event.listen(engine, "connect", lambda driver, _: setattr(driver, "isolation_level", None))
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(insert(log_state).values(id=1, epoch="e", last_position=0))
    return engine


def rows(connection: Connection) -> list[Any]:
    last = connection.execute(select(log_state.c.last_position)).scalar_one()
    return [last, *map(tuple, connection.execute(select(events).order_by(events.c.position)))]


@given(groups=st.lists(GROUP, max_size=4))
def test_what_is_stored_without_looking_it_up_is_what_would_be_stored(groups: list[Sequence[Batch]]) -> None:
    one, other = empty(), empty()
    for now, group in enumerate(groups):
        with one.begin() as connection:
            expected = store(connection, group, now)
        try:
            with other.begin() as connection:
                found = store_new(connection, group, now)
        except IntegrityError:
            assert any(
                isinstance(outcomes, Clash) or any(replayed for _, replayed in outcomes)
                for outcomes in expected
            )
            with other.begin() as connection:
                found = store(connection, group, now)
        assert found == expected
        with one.begin() as left, other.begin() as right:
            assert rows(left) == rows(right)
    one.dispose()
    other.dispose()


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    said: list[str] = []

    def note(_c: Any, _k: Any, statement: str, *_: Any) -> None:
        said.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield said
    event.remove(Engine, "before_cursor_execute", note)


@pytest.mark.parametrize("busy", [False, True])
def test_new_ones_are_not_looked_up_and_of_known_ones_nothing_is_left_over(
    tmp_path: Path, statements: list[str], busy: bool
) -> None:
    def drafts(*numbers: int, data: int = 0) -> list[Draft]:
        return [
            Draft.of(id=f"e{n}", source="shop", type="a.b", time=0, data=data, key=f"e{n}") for n in numbers
        ]

    async def run() -> None:
        database = Database(f"sqlite:///{tmp_path / 'log.db'}")
        database.migrate(MIGRATIONS)
        log = EventLog(database)
        await log.open()

        async def append(some: list[Draft]) -> list[int]:
            # Beside another write it has a savepoint, and alone the whole transaction.
            others = [database.write(lambda session: None) for _ in range(3 if busy else 0)]
            outcomes, *_ = await asyncio.gather(log.append_batch(some), *others)
            return [stored.position for stored, _ in outcomes]

        statements.clear()
        assert await append(drafts(*range(40))) == list(range(1, 41))
        assert not [said for said in statements if "FROM events" in said]
        # Forty new ones would be in by the time that the known one is met.
        assert await append(drafts(*range(50, 90), 7)) == [*range(41, 81), 8]
        assert await append(drafts(91)) == [81]
        found = await database.read(lambda session: session.execute(select(events.c.id)).scalars().all())
        assert sorted(found) == sorted(f"e{n}" for n in [*range(40), *range(50, 90), 91])
        await log.close()
        await database.close()

    asyncio.run(run())
