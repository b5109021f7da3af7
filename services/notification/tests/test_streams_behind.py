"""Readers that are behind: what retention or an expiry took away before they had it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from fountain_common.db import Database
from fountain_common.roles import Role
from fountain_common.testing import FakeClock
from fountain_common.tokens import Caller
from notification.board import MIGRATIONS
from notification.event import Draft
from notification.filters import Filter
from notification.log import EventLog
from notification.metrics import StreamMetrics
from notification.streams import MAX_SHARED_CHUNKS, Streams
from prometheus_client import CollectorRegistry

READER = Caller("reader", (Role.VIEWER,), "reader", "", "token", ("notification",), 0.0, float("inf"))


class Place:
    """A log and its streams, with a clock that stands still."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.database = Database(f"sqlite:///{folder / 'log.db'}")
        self.database.migrate(MIGRATIONS)
        self.log = EventLog(self.database, clock=self.clock)
        metrics = StreamMetrics.of(CollectorRegistry())
        self.streams = Streams(
            self.log,
            metrics,
            heartbeat_seconds=15,
            max_streams=1000,
            revoked=lambda _: False,
            clock=self.clock,
        )

    async def publish(self, type_: str, data: str, expires_at: float | None = None) -> None:
        await self.log.append(
            Draft.of(id=None, source="shop", type=type_, data=data, time=self.clock(), expires_at=expires_at)
        )

    async def read(self, after: int, *types: str) -> bytes | None:
        reader = self.streams.join(READER, Filter("reader", types), after)
        async with asyncio.timeout(5):
            found = await self.streams.next(reader)
        self.streams.leave(reader)
        return found


@pytest.fixture
def place(tmp_path: Path) -> Callable[..., Any]:
    """Run a test's coroutine in such a place."""

    def run(use: Callable[[Place], Awaitable[None]]) -> None:
        async def live() -> None:
            made = Place(tmp_path)
            await made.log.open()
            try:
                await use(made)
            finally:
                await made.log.close()
                await made.database.close()

        asyncio.run(live())

    return run


def test_who_is_only_a_little_behind_is_told_what_retention_took_from_memory(place: Any) -> None:
    async def use(at: Place) -> None:
        for number in range(4):
            await at.publish("noise.made" if number % 2 else "order.placed", str(number))
        at.log.note_removed("noise.made", 4)
        at.log.forget([2, 4])
        found = await at.read(0, "noise.*")
        assert found is not None
        assert b"event: gap" in found
        assert b'"earliest_position":5' in found
        everything = await at.read(0)
        assert everything is not None
        assert everything.count(b"event: gap") == 1
        assert everything.count(b"order.placed") == 2
        assert b"event: gap" not in (await at.read(0, "order.*") or b"")

    place(use)


def test_a_sleeping_reader_is_told_too(place: Any) -> None:
    async def use(at: Place) -> None:
        reader = at.streams.join(READER, Filter("reader", ("noise.*",)), 0)
        waiting = asyncio.create_task(at.streams.next(reader))
        await asyncio.sleep(0)
        await at.publish("noise.made", "lost")
        # Between its storing and the waking of the readers.
        at.log.note_removed("noise.made", 1)
        at.log.forget([1])
        async with asyncio.timeout(5):
            assert b"event: gap" in (await waiting or b"")

    place(use)


def test_data_that_expires_is_on_no_stream_from_then_on_though_it_was_just_shown(place: Any) -> None:
    async def use(at: Place) -> None:
        await at.publish("code.sent", "123456", expires_at=at.clock() + 10)
        assert b"123456" in (await at.read(0) or b"")
        at.clock.advance(11)
        found = await at.read(0)
        assert found is not None
        assert b"code.sent" in found
        assert b"123456" not in found

    place(use)


def test_what_is_shared_between_readers_is_bounded(place: Any) -> None:
    async def use(at: Place) -> None:
        for number in range(3 * MAX_SHARED_CHUNKS):
            await at.publish("order.placed", str(number))
        for after in range(3 * MAX_SHARED_CHUNKS):
            assert await at.read(after)
        assert len(at.streams._shared) <= MAX_SHARED_CHUNKS

    place(use)
