"""What is kept, what goes, and what must not go."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fountain_common.db import Database
from fountain_common.testing import FakeClock
from notification import repository
from notification import repository_deliveries as queue
from notification.board import MIGRATIONS
from notification.event import Draft
from notification.filters import Filter
from notification.housekeeping import Housekeeping
from notification.log import EventLog
from notification.metrics import DeliveryMetrics
from notification.models import subscriptions
from notification.repository_search import events_after
from notification.repository_subscriptions import (
    add_subscription,
    list_subscriptions,
    note_had,
    replace_secret,
)
from notification.scrub import overwrite_what_is_deleted
from notification.settings import Settings
from notification.signing import OVERLAP_SECONDS
from notification.subscription import Options, Subscription
from prometheus_client import CollectorRegistry
from sqlalchemy import update

ALL = Filter("reader")
# With letters that no id has, which is a number of base 16 and by chance the same as any short one.
CARD = "card 4111-1111-1111"


class House:
    """A log with a clock that stands still, and its housekeeping."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.clock = FakeClock()
        self.database = Database(f"sqlite:///{folder / 'log.db'}")
        self.database.migrate(MIGRATIONS)
        self.log = EventLog(self.database, clock=self.clock)
        metrics = DeliveryMetrics.of(CollectorRegistry())
        self.keeping = Housekeeping(self.log, self.database, Settings(data_dir=folder, **settings), metrics)

    async def publish(self, type_: str = "order.placed", **more: Any) -> int:
        event, _ = await self.log.append(
            Draft.of(id=None, source="shop", type=type_, time=self.clock(), **more)
        )
        return event.position

    async def left(self) -> list[int]:
        found = await self.database.read(lambda session: events_after(session, 0, ALL, 1000))
        remembered, _ = await self.log.after(0, ALL, 1000)
        assert [event.position for event in remembered] == [event.position for event in found]
        return [event.position for event in found]

    async def subscribe(self, name: str, *, enabled: bool = True) -> None:
        subscription = Subscription(
            name, "owner", (">",), None, "https://example.org", Options(), enabled, None,
            self.log.latest, 0, None, b"", None, None, self.clock(), self.clock(),
        )  # fmt: skip
        await self.database.write(lambda session: add_subscription(session, subscription))


@pytest.fixture
def keep(tmp_path: Path) -> Callable[..., Any]:
    """Run a test's coroutine in a house."""

    def run(use: Callable[[House], Awaitable[None]], **settings: Any) -> None:
        async def live() -> None:
            house = House(tmp_path, **settings)
            await house.log.open()
            try:
                await use(house)
            finally:
                await house.log.close()
                await house.database.close()

        asyncio.run(live())

    return run


def test_what_is_older_than_its_rule_goes_but_for_the_newest_of_each_subject(keep: Any) -> None:
    async def use(house: House) -> None:
        for subject in ("a", "b", "a"):
            await house.publish(subject=subject)
        await house.publish("secret.rotated", subject="a")
        house.clock.advance(3601)
        await house.publish(subject="c")
        assert await house.keeping.clean() == 1
        assert await house.left() == [2, 3, 4, 5]

    keep(use, retention="secret.>=1d,>=1h")


def test_what_is_too_many_goes_the_oldest_first(keep: Any) -> None:
    async def use(house: House) -> None:
        for _ in range(10):
            await house.publish(subject="a")
            await house.publish("link.made", subject="a")
        await house.keeping.clean()
        assert await house.left() == [2, 4, 6, 8, 10, 12, 14, 15, 16, 17, 18, 19, 20]

    keep(use, retention="order.*=1d:3,>=1d")


def test_of_more_subjects_than_are_retained_those_longest_silent_go(keep: Any) -> None:
    async def use(house: House) -> None:
        for number in range(6):
            await house.publish(subject=f"s{number}")
        house.clock.advance(100)
        await house.keeping.clean()
        assert await house.left() == [5, 6]

    keep(use, retention=">=10s", retained_per_type=2)


def test_what_an_active_subscription_has_not_had_stays(keep: Any) -> None:
    async def use(house: House) -> None:
        await house.publish(subject="a")
        await house.subscribe("slow")
        for _ in range(4):
            await house.publish(subject="a")
        house.clock.advance(100)
        await house.keeping.clean()
        assert await house.left() == [2, 3, 4, 5]
        await house.database.write(lambda session: note_had(session, "slow", 3))
        await house.database.write(
            lambda session: queue.enqueue(session, "slow", [queue.Due(2, "a")], house.clock())
        )
        await house.keeping.clean()
        assert await house.left() == [2, 4, 5]

    keep(use, retention=">=10s")


def test_a_disabled_subscription_holds_up_nothing(keep: Any) -> None:
    async def use(house: House) -> None:
        await house.subscribe("off", enabled=False)
        for _ in range(3):
            await house.publish(subject="a")
        house.clock.advance(100)
        await house.keeping.clean()
        assert await house.left() == [3]

    keep(use, retention=">=10s")


def test_what_was_removed_is_known_by_type_after_a_restart_too(keep: Any) -> None:
    async def use(house: House) -> None:
        for _ in range(3):
            await house.publish(subject="a")
        await house.publish("link.made")
        house.clock.advance(100)
        await house.keeping.clean()
        again = EventLog(house.database, clock=house.clock)
        await again.open()
        for log in (house.log, again):
            assert log.removed_through(ALL) == 2
            assert log.removed_through(Filter("reader", ("link.*",))) == 0

    keep(use, retention=">=10s")


def test_data_is_erased_when_it_expires_from_disk_and_memory(keep: Any, tmp_path: Path) -> None:
    async def use(house: House) -> None:
        await house.publish(data=CARD, expires_at=house.clock() + 60)
        await house.publish(data="stays")
        assert await house.keeping.erase() == 0
        house.clock.advance(60)
        found, _ = await house.log.after(0, ALL, 10)
        assert CARD.encode() not in found[0].body
        assert await house.keeping.erase() == 1
        assert await house.keeping.erase() == 0
        kept = await house.database.read(lambda session: repository.event_at(session, 1))
        assert kept is not None
        assert CARD.encode() not in kept.body
        assert b"stays" in (await house.log.after(1, ALL, 10))[0][0].body
        assert all(CARD.encode() not in each.body for each in house.log.tail.after(0) or ())

    keep(use)


def test_what_has_expired_is_in_no_file_any_more(keep: Any, tmp_path: Path) -> None:
    def files_with(text: bytes) -> list[str]:
        return [file.name for file in tmp_path.iterdir() if file.is_file() and text in file.read_bytes()]

    async def use(house: House) -> None:
        overwrite_what_is_deleted(house.database)
        for size in (1, 500):
            await house.publish(data=CARD * size, expires_at=house.clock() + 60)
        await house.publish(data="4222-2222-2222")
        assert files_with(CARD.encode())
        house.clock.advance(60)
        await house.keeping.erase()
        assert not files_with(CARD.encode())
        assert files_with(b"4222-2222-2222")

    keep(use)


def test_while_somebody_reads_it_is_tried_again(keep: Any) -> None:
    async def use(house: House) -> None:
        await house.publish(data=CARD, expires_at=house.clock() + 60)
        house.clock.advance(60)
        reader = sqlite3.connect(str(house.database.url.database))
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM events").fetchall()
        assert await house.keeping.erase() == 1
        assert not house.keeping._is_clean
        reader.close()
        assert await house.keeping.erase() == 0
        assert house.keeping._is_clean

    keep(use)


def test_a_replaced_signing_secret_is_erased_from_the_disk_once_it_signs_no_more(keep: Any) -> None:
    async def use(house: House) -> None:
        await house.subscribe("hook")
        earlier = update(subscriptions).values(secret=b"the-secret-before")
        await house.database.write(lambda session: session.execute(earlier))
        replaced_at = house.clock()
        replace = partial(
            replace_secret, sealed=b"the-new", until=replaced_at + OVERLAP_SECONDS, now=replaced_at
        )
        await house.database.write(partial(replace, name="hook"))
        house.clock.advance(OVERLAP_SECONDS - 1)
        assert await house.keeping.erase_secrets() == 0
        house.clock.advance(1)
        assert await house.keeping.erase_secrets() == 1
        assert await house.keeping.erase_secrets() == 0
        [hook] = await house.database.read(list_subscriptions)
        assert (hook.secret, hook.previous_secret, hook.previous_until) == (b"the-new", None, None)
        await house.keeping.erase()
        folder = Path(str(house.database.url.database)).parent
        stored = b"".join(path.read_bytes() for path in folder.glob("log.db*"))
        assert b"the-new" in stored
        assert b"the-secret-before" not in stored

    keep(use)


def test_old_attempts_and_finished_deliveries_are_pruned(keep: Any) -> None:
    async def use(house: House) -> None:
        await house.subscribe("hook")
        for number in (1, 2):
            await house.publish(subject=f"{number}")
        due = [queue.Due(1, "1"), queue.Due(2, "2")]
        await house.database.write(lambda session: queue.enqueue(session, "hook", due, house.clock()))
        attempt = queue.Attempt(house.clock(), 1.0, 200, None, b"")
        head, _ = await house.database.read(lambda session: queue.heads(session, "hook", 2))
        await house.database.write(
            lambda session: queue.record(
                session, head, attempt, status="delivered", next_at=0, now=house.clock()
            )
        )
        house.clock.advance(2 * 86400)
        await house.keeping.clean()
        left = await house.database.read(
            lambda session: queue.list_deliveries(session, "hook", None, None, 10)
        )
        assert [row["position"] for row in left] == [2]

    keep(use, delivery_retention_days=1)


def test_what_a_subscription_came_for_meanwhile_stays_in_memory_too(keep: Any) -> None:
    async def use(house: House) -> None:
        for _ in range(3):
            await house.publish(subject="a")
        house.clock.advance(100)
        removing = house.database.write

        async def subscribed_first(change: Any) -> Any:
            house.database.write = removing  # type: ignore[method-assign]
            await house.subscribe("late")
            await removing(lambda session: session.execute(update(subscriptions).values(had=1)))
            return await removing(change)

        house.database.write = subscribed_first  # type: ignore[method-assign,assignment]
        await house.keeping.clean()
        assert await house.left() == [2, 3]

    keep(use, retention=">=10s")
