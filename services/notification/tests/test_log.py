"""The log."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from fountain_common.db import Database
from fountain_common.errors import Conflict, Unavailable
from notification import repository
from notification.board import MIGRATIONS
from notification.event import Draft, Stored
from notification.filters import Filter
from notification.log import MAX_GROUP, EventLog

ALL = Filter("reader")


def draft(number: int, **more: Any) -> Draft:
    return Draft.of(
        **{"id": f"e{number}", "source": "shop", "type": "order.placed", "time": 0, "data": number, **more}
    )


def with_log(folder: Path, use: Callable[[EventLog, Database], Awaitable[Any]]) -> Any:
    """Open the log of a folder, use it and close it."""

    async def run() -> Any:
        database = Database(f"sqlite:///{folder / 'log.db'}")
        database.migrate(MIGRATIONS)
        log = EventLog(database)
        await log.open()
        try:
            return await use(log, database)
        finally:
            await log.close()
            await database.close()

    return asyncio.run(run())


def test_many_publishers_at_once_get_positions_without_a_hole_in_the_order_readers_see(
    tmp_path: Path,
) -> None:
    async def use(log: EventLog, _database: Database) -> None:
        seen: list[Stored] = []
        log.on_append(seen.extend)
        stored = await asyncio.gather(*(log.append(draft(number)) for number in range(500)))
        assert sorted(event.position for event, _ in stored) == list(range(1, 501))
        assert [event.position for event in seen] == list(range(1, 501))
        assert log.latest == 500

    with_log(tmp_path, use)


def test_readers_see_an_event_before_its_publisher_is_answered(tmp_path: Path) -> None:
    async def use(log: EventLog, _database: Database) -> None:
        event, _ = await log.append(draft(1))
        found, through = await log.after(0, ALL, 10)
        assert ([each.id for each in found], through) == ([event.id], 1)

    with_log(tmp_path, use)


def test_the_same_id_of_a_publisher_is_stored_once_and_another_things_is_refused(tmp_path: Path) -> None:
    async def use(log: EventLog, _database: Database) -> None:
        results = await asyncio.gather(*(log.append(draft(1)) for _ in range(5)))
        assert {event.position for event, _ in results} == {1}
        assert sorted(replayed for _, replayed in results) == [False, True, True, True, True]
        with pytest.raises(Conflict):
            await log.append(draft(1, data="something else"))
        other, replayed = await log.append(draft(1, source="another", data="something else"))
        assert (other.position, replayed) == (2, False)

    with_log(tmp_path, use)


def test_after_one_that_was_sent_again_groups_are_looked_up_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def store_new(connection: Any, batches: Any, now: float) -> Any:
        tried.append(len(batches))
        return repository.store_new(connection, batches, now)

    monkeypatch.setattr("notification.log.store_new", store_new)
    monkeypatch.setattr("notification.log.LOOKED_UP_GROUPS", 2)

    async def use(log: EventLog, _: Database) -> None:
        for number, expected in ((1, 1), (2, 2), (1, 3), (3, 3), (1, 3), (4, 4)):
            await log.append(draft(number))
            assert len(tried) == expected, number

    with_log(tmp_path, use)


def test_what_a_commit_stored_of_which_no_word_came_back_is_passed_over_by_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def use(log: EventLog, database: Database) -> None:
        write_rows, told = database.write_rows, list[int]()

        async def stored_and_lost(fn: Callable[[Any], Any], **how: Any) -> Any:
            await write_rows(fn, **how)
            raise Unavailable("The connection broke during the commit.")

        async def lose(number: int) -> None:
            with monkeypatch.context() as broken:
                broken.setattr(database, "write_rows", stored_and_lost)
                with pytest.raises(Unavailable):
                    await log.append(draft(number, type=f"t.{number}"))

        log.on_append(lambda fresh: told.extend(event.position for event in fresh))
        await log.append(draft(1))
        await lose(2)
        assert await log.append(draft(2, type="t.2")) == (await stored_at(2, database), True)
        await lose(3)
        await log.append(draft(4))
        assert (told, log.latest) == ([1, 2, 4], 4)
        for position in range(4):
            found, through = await log.after(position, ALL, 10)
            assert ([event.position for event in found], through) == (list(range(position + 1, 5)), 4)
        assert log.types is None

    async def stored_at(position: int, database: Database) -> Stored | None:
        return await database.read(lambda session: repository.event_at(session, position))

    with_log(tmp_path, use)


def test_a_batch_goes_in_as_one_though_the_database_fails_between_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def use(log: EventLog, database: Database) -> None:
        write_rows, failures = database.write_rows, [Unavailable("The disk is full.")]

        async def fail_once(fn: Callable[[Any], Any], **how: Any) -> Any:
            if failures:
                raise failures.pop()
            return await write_rows(fn, **how)

        monkeypatch.setattr(database, "write_rows", fail_once)
        batch = [draft(number) for number in range(100)]
        others = [log.append(draft(number)) for number in range(1000, 1000 + MAX_GROUP - 50)]
        await asyncio.gather(*others, log.append_batch(batch), return_exceptions=True)
        assert not failures
        again = await log.append_batch(batch)
        positions = [event.position for event, _ in again]
        assert positions == list(range(positions[0], positions[0] + 100))

    with_log(tmp_path, use)


def test_what_clashes_in_a_batch_leaves_nothing_of_it_that_the_next_could_meet(tmp_path: Path) -> None:
    async def use(log: EventLog, _database: Database) -> None:
        await log.append(draft(2))
        refused, stored, (alone, replayed) = await asyncio.gather(
            log.append_batch([draft(1), draft(2, data="another")]),
            log.append_batch([draft(3), draft(2), draft(1)]),
            log.append(draft(1)),
            return_exceptions=True,
        )
        assert isinstance(refused, Conflict)
        assert [(event.position, known) for event, known in stored] == [(2, False), (1, True), (3, False)]
        assert (alone.position, replayed) == (3, True)
        assert log.latest == 3

    with_log(tmp_path, use)


def test_an_idempotency_key_is_the_publishers_own_and_outlives_a_restart(tmp_path: Path) -> None:
    async def first(log: EventLog, _database: Database) -> None:
        await log.append(draft(1, id=None, key="k"))
        event, replayed = await log.append(draft(1, id=None, key="k", source="another"))
        assert (event.position, replayed) == (2, False)

    async def second(log: EventLog, _database: Database) -> None:
        event, replayed = await log.append(draft(1, id=None, key="k"))
        assert (event.position, replayed) == (1, True)
        with pytest.raises(Conflict):
            await log.append(draft(2, id=None, key="k"))

    with_log(tmp_path, first)
    with_log(tmp_path, second)


def test_after_a_restart_positions_and_epoch_go_on(tmp_path: Path) -> None:
    async def use(log: EventLog, _database: Database) -> tuple[str, int]:
        event, _ = await log.append(draft(log.latest))
        return log.epoch, event.position

    assert with_log(tmp_path, use) == (with_log(tmp_path, use)[0], 1)
    assert with_log(tmp_path, use)[1] == 3


def test_a_position_is_never_given_twice_though_everything_was_removed(tmp_path: Path) -> None:
    async def use(log: EventLog, database: Database) -> int:
        event, _ = await log.append(draft(log.latest))
        await database.write(lambda session: session.execute(repository.events.delete()))
        return event.position

    assert [with_log(tmp_path, use) for _ in range(3)] == [1, 2, 3]


def test_a_reader_that_fell_behind_memory_gets_the_same_from_the_database(tmp_path: Path) -> None:
    async def fill(log: EventLog, _database: Database) -> None:
        for number in range(50):
            await log.append(
                draft(number, type=f"t.{number % 3}", recipient="alice" if number % 7 == 0 else "")
            )

    async def read(log: EventLog, _database: Database) -> None:
        for wanted in (
            ALL,
            Filter("alice", ("t.1",)),
            Filter("bob", ("*.2", "t.0")),
            Filter("bob", ("t.>",)),
        ):
            recent, _ = await log.after(5, wanted, 100)
            log.tail.start = 10**9
            older: list[Stored] = []
            position = 5
            while position < log.latest:
                found, position = await log.after(position, wanted, 4)
                older += found
            log.tail.start = 0
            assert older == recent
            assert recent

    with_log(tmp_path, fill)
    with_log(tmp_path, read)


def test_what_the_database_holds_is_what_was_answered(tmp_path: Path) -> None:
    async def use(log: EventLog, database: Database) -> None:
        event, _ = await log.append(draft(1, subject="o1", data={"ä": [1, None]}))
        kept = await database.read(lambda session: repository.event_at(session, 1))
        assert kept is not None
        assert orjson.loads(kept.body) == orjson.loads(event.body)

    with_log(tmp_path, use)
