"""The courier of one subscription, with more to do than it holds in memory."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fountain_common.breaker import FAILURES
from fountain_common.db import Database
from fountain_common.sealing import SealBroken
from fountain_common.testing import FakeClock
from notification import repository_deliveries as queue
from notification.board import MIGRATIONS
from notification.courier import Courier, Terms
from notification.event import Draft
from notification.log import EventLog
from notification.metrics import DeliveryMetrics
from notification.repository_subscriptions import add_subscription, list_subscriptions
from notification.sender import Answer
from notification.signing import new_secret
from notification.subscription import Options, Subscription
from prometheus_client import CollectorRegistry

SECRET = new_secret()
HOOK = Subscription(
    "hook", "owner", (">",), None, "https://example.org", Options(), True, None,
    0, 0, None, b"", None, None, 0, 0,
)  # fmt: skip


class Receiver:
    """A sender that keeps what it was given."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.signatures: list[str] = []
        self.arrived = asyncio.Event()
        self.status = 200
        self.error: Exception | None = None

    async def send(self, headers: Mapping[str, str], _body: bytes) -> Answer:
        self.ids.append(headers["webhook-id"])
        self.signatures.append(headers["webhook-signature"])
        self.arrived.set()
        if self.error is not None:
            raise self.error
        return Answer(self.status)

    async def until(self, true: Callable[[], object]) -> None:
        while not true():
            await self.arrived.wait()
            self.arrived.clear()

    async def close(self) -> None:
        pass


async def disabled() -> None:
    pass


def opened(sealed: bytes) -> str:
    if sealed == b"broken":
        raise SealBroken
    return SECRET


def _deliver(
    folder: Path,
    use: Callable[[Receiver, asyncio.Event], Awaitable[None]],
    *,
    status: int = 200,
    error: Exception | None = None,
    clock: Callable[[], float] = time.time,
    hook: Subscription = HOOK,
) -> None:
    async def live() -> None:
        database = Database(f"sqlite:///{folder / 'log.db'}")
        database.migrate(MIGRATIONS)
        log = EventLog(database)
        await log.open()
        await database.write(lambda session: add_subscription(session, HOOK))
        for number in range(25):
            await log.append(
                Draft.of(id=None, source="shop", type="order.placed", time=0, subject=f"s{number}")
            )
        due = [queue.Due(position, f"s{position}") for position in range(1, 26)]
        await database.write(lambda session: queue.enqueue(session, "hook", due, 0))
        receiver, room = Receiver(), asyncio.Event()
        receiver.status, receiver.error = status, error
        courier = Courier(
            hook, receiver, Terms((0,), 2, 60), database,
            open_secret=opened, epoch=log.epoch, metrics=DeliveryMetrics.of(CollectorRegistry()),
            on_disabled=disabled, on_room=room.set, max_lanes=6, clock=clock,
        )  # fmt: skip
        courier.start()
        try:
            async with asyncio.timeout(10):
                await use(receiver, room)
        finally:
            await courier.stop()
            await log.close()
            await database.close()

    asyncio.run(live())


def test_more_subjects_than_it_holds_are_all_delivered(tmp_path: Path) -> None:
    async def use(receiver: Receiver, room: asyncio.Event) -> None:
        await receiver.until(lambda: len(receiver.ids) >= 25)
        assert len(set(receiver.ids)) == 25
        await room.wait()

    _deliver(tmp_path, use)


def test_a_receiver_that_is_away_is_left_alone_and_an_answer_of_500_is_not_being_away(tmp_path: Path) -> None:
    async def away(receiver: Receiver, _room: asyncio.Event) -> None:
        await receiver.until(lambda: len(receiver.ids) >= FAILURES)
        # With the clock standing still the circuit stays open: only what was under way may still come.
        for _ in range(50):
            await asyncio.sleep(0.001)
        assert len(receiver.ids) <= FAILURES + 1

    async def troubled(receiver: Receiver, _room: asyncio.Event) -> None:
        await receiver.until(lambda: len(set(receiver.ids)) == 25)

    for folder, status, use in (("away", 503, away), ("troubled", 500, troubled)):
        (tmp_path / folder).mkdir()
        _deliver(tmp_path / folder, use, status=status, clock=FakeClock())


def test_a_secret_that_does_not_open_does_not_keep_the_one_that_replaced_it_from_signing(
    tmp_path: Path,
) -> None:
    async def use(receiver: Receiver, _room: asyncio.Event) -> None:
        await receiver.until(lambda: len(receiver.ids) >= 25)
        assert [signature.count("v1,") for signature in receiver.signatures] == [1] * 25

    replaced = replace(HOOK, previous_secret=b"broken", previous_until=time.time() + 3600)
    _deliver(tmp_path, use, hook=replaced)


def test_what_was_removed_before_it_could_be_delivered_is_counted_and_noted(tmp_path: Path) -> None:
    async def live() -> tuple[float, int]:
        database = Database(f"sqlite:///{tmp_path / 'log.db'}")
        database.migrate(MIGRATIONS)
        metrics, receiver = DeliveryMetrics.of(CollectorRegistry()), Receiver()
        await database.write(lambda session: add_subscription(session, HOOK))
        await database.write(lambda session: queue.enqueue(session, "hook", [queue.Due(7, "gone")], 0))
        courier = Courier(
            HOOK, receiver, Terms((0,), 2, 60), database,
            open_secret=opened, epoch="e", metrics=metrics, on_disabled=disabled,
        )  # fmt: skip
        courier.start()
        try:
            async with asyncio.timeout(10):
                while not (missed := metrics.missed._value.get()):
                    await asyncio.sleep(0.005)
            [found] = await database.read(list_subscriptions)
            assert not receiver.ids
            return missed, found.missed_through
        finally:
            await courier.stop()
            await database.close()

    assert asyncio.run(live()) == (1, 7)


def test_a_way_to_the_receiver_that_breaks_is_an_attempt_like_any_other(tmp_path: Path) -> None:
    async def use(receiver: Receiver, _room: asyncio.Event) -> None:
        # Behind these the circuit is open, as after any other failure.
        await receiver.until(lambda: len(set(receiver.ids)) >= FAILURES)

    _deliver(tmp_path, use, error=RuntimeError("nobody thought of this"))
    database = Database(f"sqlite:///{tmp_path / 'log.db'}")

    async def tried() -> list[dict[str, Any]]:
        try:
            return await database.read(
                lambda session: queue.list_deliveries(session, "hook", "dead", None, 50)
            )
        finally:
            await database.close()

    dead = asyncio.run(tried())
    # Those that the end broke off are tried again.
    assert len(dead) >= FAILURES - 2
    assert {attempt.error for row in dead for attempt in row["tried"]} == {
        "It could not be sent: RuntimeError."
    }
    assert all(len(row["tried"]) == 1 for row in dead)
