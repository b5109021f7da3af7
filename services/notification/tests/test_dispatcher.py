"""The dispatcher, where it begins and ends."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fountain_common.db import Database
from fountain_common.errors import Unavailable
from fountain_common.sealing import Sealer
from notification.board import MIGRATIONS
from notification.dispatcher import Dispatcher
from notification.log import EventLog
from notification.metrics import DeliveryMetrics
from notification.repository_subscriptions import add_subscription, disable_subscription, unannounced
from notification.sender import Guard
from notification.settings import Settings
from notification.subscription import Options, Subscription
from prometheus_client import CollectorRegistry

HOOK = Subscription(
    "hook", "owner", (">",), None, "https://example.org", Options(), True, None,
    0, 0, None, b"", None, None, 0, 0,
)  # fmt: skip


class Told:
    """What is published; the first attempts fail."""

    def __init__(self, *failures: Exception) -> None:
        self.failures, self.keys = list(failures), list[str]()

    async def publish(self, *_event: Any, idempotency_key: str) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.keys.append(idempotency_key)


def _dispatch(folder: Path, told: Told, use: Callable[[Dispatcher, Database], Awaitable[None]]) -> None:
    async def live() -> None:
        database = Database(f"sqlite:///{folder / 'log.db'}")
        database.migrate(MIGRATIONS)
        log = EventLog(database)
        await log.open()
        await database.write(lambda session: add_subscription(session, HOOK))
        platform: Any = SimpleNamespace(events=told)
        dispatcher = Dispatcher(
            log, database, Settings(data_dir=folder), DeliveryMetrics.of(CollectorRegistry()),
            guard=Guard(()), platform=lambda: platform, sealer=Sealer(lambda: ["key"]),
        )  # fmt: skip
        await use(dispatcher, database)
        await log.close()
        await database.close()

    asyncio.run(live())


def test_behind_its_end_nothing_is_begun_and_nothing_is_left_running(tmp_path: Path) -> None:
    async def use(dispatcher: Dispatcher, _database: Database) -> None:
        await dispatcher.start()
        await dispatcher.stop()
        # As from a courier that disables its subscription, and a request that changes one, in that moment.
        await dispatcher._disabled("hook")
        await dispatcher.changed("hook")
        assert asyncio.all_tasks() == {asyncio.current_task()}

    _dispatch(tmp_path, Told(), use)


def test_that_it_was_disabled_is_told_again_and_again_until_it_is_heard(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr("notification.dispatcher.RETRY_SECONDS", 0.001)
    told = Told(Unavailable("full"), RuntimeError("whatever it is"))

    async def use(dispatcher: Dispatcher, database: Database) -> None:
        await database.write(lambda session: disable_subscription(session, "hook", "Enough.", 12.5))
        await dispatcher.start()
        async with asyncio.timeout(5):
            while await database.read(unannounced):
                await asyncio.sleep(0.001)
        await dispatcher.stop()

    _dispatch(tmp_path, told, use)
    assert told.keys == ["disabled-hook-12.500000"]
