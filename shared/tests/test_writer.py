import asyncio
import gc
import sqlite3
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fountain_common.db import Database
from fountain_common.errors import Unavailable
from fountain_common.writer import is_outage
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError
from sqlalchemy.orm import Session


@pytest.fixture
def rows(db: Database) -> Database:
    with db.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE rows (name TEXT)")
    return db


def adding(name: str) -> Any:
    return lambda session: session.execute(text("INSERT INTO rows VALUES (:name)"), {"name": name})


async def _names(db: Database) -> list[str]:
    return await db.read(lambda session: list(session.scalars(text("SELECT name FROM rows ORDER BY rowid"))))


async def together(rows: Database, *writes: Any) -> list[Any]:
    """Have writes, each a call that submits one, wait for the writer until all of them do."""
    gate, running, loop = threading.Event(), asyncio.Event(), asyncio.get_running_loop()

    def hold(_session: Session) -> None:
        loop.call_soon_threadsafe(running.set)
        gate.wait(5)

    first = asyncio.create_task(rows.write(hold))
    await running.wait()
    tasks = [asyncio.create_task(write()) for write in writes]
    await asyncio.sleep(0)
    gate.set()
    await first
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_commit_that_fails_is_told_to_everybody_in_it_and_the_writer_goes_on(rows: Database) -> None:
    broken = [True]

    def fail(_connection: object) -> None:
        if broken[0]:
            raise sqlite3.OperationalError("disk I/O error")

    event.listen(rows.engine, "commit", fail)
    results = await asyncio.gather(*(rows.write(adding(name)) for name in "abc"), return_exceptions=True)
    assert [type(result) for result in results] == [Unavailable] * 3
    assert await _names(rows) == []
    broken[0] = False
    await rows.write(adding("d"))
    assert await _names(rows) == ["d"]


async def test_a_failed_commit_wakes_nobody(rows: Database) -> None:
    from fountain_common.db import notify

    heard: list[int] = []
    rows.listen("rows", lambda: heard.append(1))

    def fail(_connection: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    event.listen(rows.engine, "commit", fail)
    with pytest.raises(Unavailable):
        await rows.write(lambda session: notify(session, "rows"))
    await asyncio.sleep(0)
    assert heard == []


async def test_when_the_database_ends_the_transaction_nobody_of_the_group_is_told_that_it_was_kept(
    rows: Database,
) -> None:
    def end(session: Session) -> None:
        # What SQLite does by itself on a full disk.
        session.connection().connection.cursor().execute("ROLLBACK")
        raise sqlite3.OperationalError("database or disk is full")

    results = await together(rows, *(partial(rows.write, fn) for fn in (adding("a"), end, adding("b"))))
    assert [type(result) for result in results] == [Unavailable] * 3
    assert await _names(rows) == []
    await rows.write(adding("c"))
    assert await _names(rows) == ["c"]


async def test_an_exception_that_is_no_exception_does_not_end_the_writer(rows: Database) -> None:
    def leave(_session: Session) -> None:
        raise SystemExit

    with pytest.raises(Unavailable):
        await rows.write(leave)
    await rows.write(adding("a"))
    assert await _names(rows) == ["a"]


def test_callers_of_several_event_loops_are_each_answered(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path}/x.db")
    for _ in range(3):
        assert asyncio.run(db.write(lambda session: session.scalar(text("SELECT 1")))) == 1
    asyncio.run(db.close())
    gc.collect()


async def test_a_quick_write_runs_on_the_loop_and_an_ordinary_one_beside_it(rows: Database) -> None:
    def where(session: Session) -> int:
        adding("a")(session)
        return threading.get_ident()

    here = threading.get_ident()
    assert await rows.write(where, quick=True) == here
    assert await rows.write_rows(lambda _: threading.get_ident(), quick=True) == here
    assert await rows.write(where) != here
    # Those of one group stay together.
    quick, ordinary = partial(rows.write, where, quick=True), partial(rows.write, where)
    assert here not in await together(rows, quick, ordinary)
    assert await together(rows, quick, quick) == [here, here]
    assert await _names(rows) == ["a"] * 6


async def test_a_quick_write_that_fails_is_undone_alone(rows: Database) -> None:
    def fail(session: Session) -> None:
        adding("b")(session)
        raise LookupError

    writes = [partial(rows.write, fn, quick=True) for fn in (adding("a"), fail, adding("c"))]
    results = await together(rows, *writes)
    assert [isinstance(result, LookupError) for result in results] == [False, True, False]
    assert await _names(rows) == ["a", "c"]


async def test_what_ends_a_quick_group_ends_neither_the_loop_nor_the_writer(rows: Database) -> None:
    def leave(_session: Session) -> None:
        raise SystemExit

    def end(session: Session) -> None:
        session.connection().connection.cursor().execute("ROLLBACK")
        raise sqlite3.OperationalError("database or disk is full")

    for way in (leave, end):
        writes = [partial(rows.write, fn, quick=True) for fn in (adding("a"), way, adding("b"))]
        results = await together(rows, *writes)
        assert [type(result) for result in results] == [Unavailable] * 3
    await rows.write(adding("c"), quick=True)
    assert await _names(rows) == ["c"]


async def test_the_loop_goes_on_while_a_quick_write_waits_for_the_lock_of_another(rows: Database) -> None:
    turns = 0
    with rows.engine.connect() as other, other.begin():
        writing = asyncio.create_task(rows.write(adding("a"), quick=True))
        while turns < 1000:
            await asyncio.sleep(0)
            turns += 1
        assert not writing.done()
    await writing
    assert await _names(rows) == ["a"]


async def test_a_quick_write_whose_loop_has_ended_keeps_nobody_waiting(rows: Database) -> None:
    gate, held = threading.Event(), threading.Event()

    def hold(_session: Session) -> None:
        held.set()
        gate.wait(5)

    first = asyncio.create_task(rows.write(hold))
    await asyncio.to_thread(held.wait, 5)
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)

    def submit_and_leave() -> None:
        abandoned = loop.create_task(rows.write(adding("abandoned"), quick=True))
        loop.call_later(0.01, loop.stop)
        loop.run_forever()
        loop.close()
        abandoned.get_coro().close()  # type: ignore[union-attr]

    await asyncio.to_thread(submit_and_leave)
    gate.set()
    await first
    async with asyncio.timeout(10):
        await rows.write(adding("b"))
    assert "b" in await _names(rows)


def test_outages_are_told_from_mistakes() -> None:
    assert is_outage(OperationalError("x", None, sqlite3.OperationalError("database is locked")))
    assert is_outage(InterfaceError("x", None, Exception()))
    assert not is_outage(IntegrityError("x", None, sqlite3.IntegrityError()))
    assert not is_outage(ValueError())


async def test_a_mistake_in_a_statement_is_not_called_an_outage(rows: Database) -> None:
    with pytest.raises(OperationalError, match="no such table"):
        await rows.write(lambda session: session.execute(text("SELECT * FROM nowhere")))
