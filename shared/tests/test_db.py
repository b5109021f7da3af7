import asyncio
import sqlite3
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from fountain_common.db import Database, UtcDateTime, new_metadata, notify
from fountain_common.errors import Conflict, Unavailable
from fountain_common.statements import Listed
from sqlalchemy import BindParameter, bindparam, event, func, select, text
from sqlalchemy.exc import IntegrityError, OperationalError, StatementError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    metadata = new_metadata()


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    at: Mapped[datetime | None] = mapped_column(UtcDateTime)


@pytest.fixture
def orders(db: Database) -> Database:
    Base.metadata.create_all(db.engine)
    return db


def adding(name: str) -> Any:
    def add(session: Session) -> Order:
        order = Order(name=name)
        session.add(order)
        return order

    return add


async def _names(db: Database) -> list[str]:
    return await db.read(lambda session: list(session.scalars(select(Order.name).order_by(Order.id))))


async def test_what_was_written_can_be_read_and_stays_usable(orders: Database) -> None:
    order = await orders.write(adding("a"))
    assert (order.id, order.name) == (1, "a")
    found = await orders.read(lambda session: session.get(Order, 1))
    assert found is not None
    assert found.name == "a"


async def test_one_that_fails_undoes_only_itself(orders: Database) -> None:
    def half(session: Session) -> None:
        session.add(Order(name="half"))
        session.flush()
        raise Conflict("No.")

    results = await asyncio.gather(
        *(orders.write(fn) for fn in (adding("a"), half, adding("b"), adding("a"), adding("c"))),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [Order, Conflict, Order, IntegrityError, Order]
    assert await _names(orders) == ["a", "b", "c"]


async def test_a_flush_that_fails_and_is_caught_does_not_spoil_the_rest(orders: Database) -> None:
    def careful(session: Session) -> str:
        session.add(Order(name="careful"))
        try:
            with session.begin_nested():
                session.add(Order(name="taken"))
        except IntegrityError:
            return "caught"
        return "missed"

    await orders.write(adding("taken"))
    assert await orders.write(careful) == "caught"
    assert await _names(orders) == ["taken", "careful"]


async def test_many_writes_share_commits_and_keep_their_order(orders: Database) -> None:
    commits = []
    event.listen(orders.engine, "commit", lambda _connection: commits.append(1))
    await asyncio.gather(*(orders.write(adding(f"{number:04}")) for number in range(500)))
    assert await _names(orders) == [f"{number:04}" for number in range(500)]
    assert len(commits) < 100


async def test_an_answer_means_that_it_is_on_disk(orders: Database, tmp_path: Path) -> None:
    await orders.write(adding("a"))
    assert orders.engine.connect().exec_driver_sql("PRAGMA synchronous").scalar() == 2
    other = Database(f"sqlite:///{tmp_path}/test.db")
    assert await _names(other) == ["a"]
    await other.close()


async def test_a_reader_cannot_write(orders: Database) -> None:
    with pytest.raises(OperationalError, match="readonly"):
        await orders.read(lambda session: session.execute(text("INSERT INTO orders (name) VALUES ('x')")))
    assert await _names(orders) == []


EACH: BindParameter[Any] = bindparam("each", expanding=True)
NAMED = Listed(select(Order.id, Order.name).where(Order.name.in_(EACH)).order_by(Order.id))


async def test_rows_are_as_of_now_and_hold_up_no_writer(orders: Database) -> None:
    assert list(await orders.rows(NAMED, ["a"])) == []
    for name in ("a", "b", "c"):
        await orders.write(adding(name))
        assert [tuple(row) for row in await orders.rows(NAMED, ["a", name])][-1][1] == name
    assert len(await orders.rows(NAMED, ["a", "c"])) == 2


async def test_rows_of_a_database_that_fails_are_unavailable_and_then_available(
    orders: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object) -> Any:
        raise sqlite3.OperationalError("unable to open database file")

    await orders.write(adding("a"))
    with monkeypatch.context() as patch:
        patch.setattr(orders._reader, "raw_connection", lost)
        with pytest.raises(Unavailable):
            await orders.rows(NAMED, ["a"])
    assert len(await orders.rows(NAMED, ["a"])) == 1
    with pytest.raises(sqlite3.OperationalError, match="no such table"):  # a mistake, and no outage
        await orders.rows(Listed(text("SELECT 1 FROM somewhere WHERE 1 IN :each").bindparams(EACH)), ["a"])


async def test_a_long_read_leaves_the_event_loop_alone(orders: Database) -> None:
    here = threading.get_ident()
    assert await orders.read(lambda _session: threading.get_ident()) == here
    assert await orders.read(lambda _session: threading.get_ident(), long=True) != here


async def test_a_locked_database_is_unavailable_and_then_available(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path}/locked.db", busy_ms=50)
    Base.metadata.create_all(db.engine)
    blocker = sqlite3.connect(tmp_path / "locked.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable):
        await db.write(adding("a"))
    assert await _names(db) == []
    blocker.execute("ROLLBACK")
    blocker.close()
    await db.write(adding("a"))
    assert await _names(db) == ["a"]
    await db.close()


async def test_a_database_that_refused_a_write_is_not_well_until_one_is_taken_again(
    tmp_path: Path,
) -> None:
    db = Database(f"sqlite:///{tmp_path}/locked.db", busy_ms=20)
    Base.metadata.create_all(db.engine)
    blocker = sqlite3.connect(tmp_path / "locked.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    await db.check()  # nobody has wanted to write
    with pytest.raises(Unavailable):
        await db.write(adding("a"))
    with pytest.raises(Unavailable):
        await db.check()
    blocker.execute("ROLLBACK")
    blocker.close()
    await db.check()
    await db.close()


async def test_a_mistake_of_a_caller_does_not_make_the_database_unwell(orders: Database) -> None:
    await orders.write(adding("a"))
    with pytest.raises(IntegrityError):
        await orders.write(adding("a"))
    assert not orders._writer.in_doubt
    await orders.check()


async def test_a_full_disk_is_unavailable_for_all_and_keeps_nothing_half(orders: Database) -> None:
    pages = await orders.read(lambda session: session.scalar(text("PRAGMA page_count")))

    def limit(count: int) -> Any:
        return lambda session: session.execute(text(f"PRAGMA max_page_count={count}"))

    await orders.write(adding("before"))
    await orders.write(limit(pages + 1))
    big = "x" * 50_000
    results = await asyncio.gather(
        *(orders.write(adding(name)) for name in ("a", big, "b")), return_exceptions=True
    )
    kept = await _names(orders)
    for name, result in zip(("a", big, "b"), results, strict=True):
        assert isinstance(result, Unavailable) is (name not in kept)
    assert big not in kept
    await orders.write(limit(100_000))
    await orders.write(adding("after"))
    assert (await _names(orders))[-1] == "after"


async def test_too_many_waiting_writes_are_refused(tmp_path: Path) -> None:
    db, gate, running = (
        Database(f"sqlite:///{tmp_path}/q.db", queue_size=2),
        threading.Event(),
        asyncio.Event(),
    )
    loop = asyncio.get_running_loop()

    def hold(_session: Session) -> str:
        loop.call_soon_threadsafe(running.set)
        gate.wait(5)
        return "held"

    first = asyncio.create_task(db.write(hold))
    await running.wait()
    waiting = [asyncio.create_task(db.write(lambda _session: "done")) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await db.write(lambda _session: "too much")
    gate.set()
    assert [await first, *[await task for task in waiting]] == ["held", "done", "done"]
    await db.close()


async def test_a_caller_that_gave_up_before_its_turn_writes_nothing(orders: Database) -> None:
    gate, running, loop = threading.Event(), asyncio.Event(), asyncio.get_running_loop()

    def hold(_session: Session) -> None:
        loop.call_soon_threadsafe(running.set)
        gate.wait(5)

    first = asyncio.create_task(orders.write(hold))
    await running.wait()
    second = asyncio.create_task(orders.write(adding("unwanted")))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    gate.set()
    await first
    await orders.write(adding("after it"))
    assert await _names(orders) == ["after it"]


async def test_closing_commits_what_waits_and_refuses_what_comes(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path}/c.db")
    Base.metadata.create_all(db.engine)
    tasks = [asyncio.create_task(db.write(adding(str(number)))) for number in range(50)]
    await asyncio.sleep(0)
    await db.close()
    assert len(await asyncio.gather(*tasks)) == 50
    with pytest.raises(Unavailable):
        await db.write(adding("late"))
    with pytest.raises(Unavailable):
        await db.check()
    again = Database(f"sqlite:///{tmp_path}/c.db")
    assert await again.read(lambda session: session.scalar(select(func.count()).select_from(Order))) == 50
    await again.close()


async def test_listeners_are_woken_after_the_commit_and_only_for_their_topic(orders: Database) -> None:
    heard: list[str] = []
    stop = orders.listen("orders", lambda: heard.append("orders"))
    orders.listen("other", lambda: heard.append("other"))

    def tell(session: Session) -> None:
        adding("a")(session)
        notify(session, "orders")

    def fail(session: Session) -> None:
        notify(session, "other")
        raise Conflict

    await orders.write(tell)
    with pytest.raises(Conflict):
        await orders.write(fail)
    await asyncio.sleep(0)
    assert heard == ["orders"]
    stop()
    await orders.write(lambda session: notify(session, "orders"))
    await asyncio.sleep(0)
    assert heard == ["orders"]


async def test_a_moment_comes_back_as_utc(orders: Database) -> None:
    moment = datetime(2026, 3, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))

    def add(session: Session) -> None:
        session.add(Order(name="a", at=moment))

    await orders.write(add)
    found = await orders.read(lambda session: session.scalar(select(Order.at)))
    assert found == moment
    assert found is not None
    assert found.tzinfo is UTC


async def test_a_moment_without_a_zone_is_refused(orders: Database) -> None:
    with pytest.raises(StatementError):
        await orders.write(lambda session: session.add(Order(name="a", at=datetime(2026, 1, 1))))  # noqa: DTZ001


def test_a_password_in_the_address_is_refused() -> None:
    with pytest.raises(ValueError, match="password") as error:
        Database("postgresql://orders:marker@db/orders")
    assert "marker" not in str(error.value)


async def test_values_do_not_appear_in_errors(orders: Database) -> None:
    await orders.write(adding("marker-value"))
    with pytest.raises(IntegrityError) as error:
        await orders.write(adding("marker-value"))
    assert "marker-value" not in str(error.value)
