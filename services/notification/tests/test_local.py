"""The service as its own client, without leaving the process."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from fountain_common.errors import Forbidden
from fountain_common.event_stream import Arrival, Interest
from fountain_common.metrics import Metrics
from notification.board import Board
from notification.local import LocalFeed, LocalPublisher
from notification.settings import Settings


def _live(folder: Path, use: Callable[[Board, LocalPublisher, LocalFeed], Awaitable[None]]) -> None:
    async def live() -> None:
        board = Board(Settings(data_dir=folder), Metrics("notification"))
        try:
            async with asyncio.timeout(10):
                await use(board, LocalPublisher(board), LocalFeed(board))
            assert len(board.streams) == 0
        finally:
            await board.close()

    asyncio.run(live())


async def _first(feed: LocalFeed, place: str | None, count: int, then: Awaitable[Any]) -> list[Arrival]:
    found: list[Arrival] = []
    async with feed.open(place, Interest()) as arrivals:
        await then
        async for arrival in arrivals:
            found.append(arrival)
            if len(found) == count:
                break
    return found


def test_it_publishes_what_is_its_own_to_say_and_hears_it(tmp_path: Path) -> None:
    async def use(board: Board, publisher: LocalPublisher, feed: LocalFeed) -> None:
        said = publisher.publish({"type": "subscription.disabled", "subject": "hook"}, "k")
        [arrival] = await _first(feed, None, 1, said)
        assert arrival.event is not None
        assert (arrival.event.source, arrival.event.subject) == ("notification", "hook")
        assert arrival.id == f"{board.log.epoch}-1"
        again = await publisher.publish({"type": "subscription.disabled", "subject": "hook"}, "k")
        assert again["position"] == 1
        with pytest.raises(Forbidden):
            await publisher.publish({"type": "secret.rotated"}, "other")

    _live(tmp_path, use)


def test_an_unknown_place_is_a_gap_to_itself_too(tmp_path: Path) -> None:
    async def use(_board: Board, publisher: LocalPublisher, feed: LocalFeed) -> None:
        said = publisher.publish({"type": "order.placed"}, "k")
        gap, event = await _first(feed, "another-epoch-7", 2, said)
        assert (gap.is_gap, gap.event) == (True, None)
        assert (event.is_gap, event.event is not None) == (False, True)

    _live(tmp_path, use)


def test_what_was_removed_before_it_was_read_is_a_gap(tmp_path: Path) -> None:
    async def use(board: Board, publisher: LocalPublisher, feed: LocalFeed) -> None:
        async def publish_and_remove() -> None:
            for number in range(3):
                await publisher.publish({"type": "order.placed"}, f"k{number}")
            board.log.note_removed("order.placed", 2)
            board.log.forget([1, 2])

        gap, event = await _first(feed, None, 2, publish_and_remove())
        assert gap.is_gap
        assert event.id.endswith("-3")

    _live(tmp_path, use)
