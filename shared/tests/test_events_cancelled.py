"""Cancellations in and around the handlers of events."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fountain_common import events as events_module
from fountain_common.event import Event
from fountain_common.events import Events
from fountain_common.platform import Platform
from fountain_common.testing import World
from waiting import until


@pytest.fixture
def events(platform: Platform) -> Events:
    assert platform.events is not None
    return platform.events


async def let_a_cancellation_out() -> None:
    other = asyncio.create_task(asyncio.Event().wait())
    other.cancel()
    await other


async def test_a_handler_that_lets_a_cancellation_out_has_failed_and_the_next_event_is_handled(
    events: Events, platform: Platform, world: World
) -> None:
    heard: list[Any] = []

    @events.on("order.*")
    async def lets_out(event: Event) -> None:
        await let_a_cancellation_out()

    @events.on("order.*")
    async def remembers(event: Event) -> None:
        heard.append(event.data)

    await platform.announce()
    for number in range(2):
        world.notification.emit("order.placed", data=number)
    await until(lambda: heard == [0, 1])
    assert platform.metrics.registry.get_sample_value("fountain_event_handler_failures_total") == 2


@pytest.mark.parametrize("raises", [True, False])
async def test_a_handler_that_makes_something_else_of_its_cancellation_keeps_nobody_from_stopping(
    events: Events, platform: Platform, world: World, raises: bool
) -> None:
    begun = asyncio.Event()

    @events.on("order.*")
    async def translates(event: Event) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if raises:
                raise ConnectionError from None

    await platform.announce()
    world.notification.emit("order.placed", data=1)
    async with asyncio.timeout(5):
        await begun.wait()
        await events.stop()


async def test_a_delivery_whose_handler_lets_a_cancellation_out_has_failed(events: Events) -> None:
    events.on("order.*")(lambda event: let_a_cancellation_out())
    assert not await events.receive(Event(type="order.placed", id="1", source="shop"))


async def test_a_handler_that_ends_the_task_it_runs_in_is_seen_and_the_next_event_is_handled(
    events: Events,
    platform: Platform,
    world: World,
    log: Callable[[], list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events_module, "BEGIN_AGAIN_SECONDS", 0.01)
    heard: list[Any] = []
    gaps: list[str] = []

    @events.on_gap
    async def refetches() -> None:
        gaps.append("those behind it missed an event")

    @events.on("order.*")
    async def cancels_itself(event: Event) -> None:
        heard.append(event.data)
        task = asyncio.current_task()
        assert task is not None
        if event.data == 0:
            task.cancel()
            await asyncio.sleep(0)

    await platform.announce()
    for number in range(2):
        world.notification.emit("order.placed", data=number)
    await until(lambda: heard == [0, 1] and gaps)
    assert [line["level"] for line in log() if line["event"] == "event_worker_ended"] == ["error"]
    await platform.stop()
    await asyncio.sleep(0.05)
    assert [line["level"] for line in log() if line["event"] == "event_worker_ended"] == ["error"]
