"""One stream of events."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import httpx2
import pytest
from fountain_common.errors import Unavailable
from fountain_common.event import Event
from fountain_common.event_stream import Arrival, EventStream, Interest, PeerFeed, place_of, repeats
from fountain_common.http import Peers
from waiting import until


def arrival(position: int, epoch: str = "e1") -> Arrival:
    return Arrival(f"{epoch}-{position}", Event(type="a.b", id=f"{epoch}{position}", position=position))


class Scripted:
    """A feed whose openings are written down: each a list of arrivals, then it ends; after the last it
    stays open.
    """

    def __init__(self, *openings: list[Arrival] | Exception) -> None:
        self.openings = list(openings)
        self.asked: list[str | None] = []
        self.interests: list[Interest] = []

    @asynccontextmanager
    async def open(
        self, last_event_id: str | None, interest: Interest
    ) -> AsyncIterator[AsyncIterator[Arrival]]:
        self.asked.append(last_event_id)
        self.interests.append(interest)
        script = self.openings.pop(0) if self.openings else None
        if isinstance(script, Exception):
            raise script

        async def arrivals() -> AsyncIterator[Arrival]:
            for one in script or []:
                yield one
            if script is None:
                await asyncio.Event().wait()

        yield arrivals()


class Heard:
    def __init__(self, feed: Scripted) -> None:
        self.log: list[str] = []
        self.interest = Interest()
        self.stream = EventStream(feed, self.event, self.gap, lambda: self.interest)

    async def event(self, event: Event) -> None:
        self.log.append(event.id)

    async def gap(self) -> None:
        self.log.append("gap")


@pytest.fixture
async def hear() -> AsyncIterator[Callable[[Scripted, int], object]]:
    heard: list[Heard] = []

    async def begin(feed: Scripted, openings: int) -> Heard:
        one = Heard(feed)
        heard.append(one)
        await one.stream.start(2.0)
        await until(lambda: len(feed.asked) >= openings and one.stream.connected)
        return one

    yield begin
    for one in heard:
        await one.stream.stop()


async def test_it_is_resumed_where_it_broke_and_nothing_comes_twice(hear: Callable) -> None:
    feed = Scripted([arrival(1), arrival(2)], [arrival(2), arrival(3)])
    heard = await hear(feed, 3)
    assert heard.log == ["e11", "e12", "e13"]
    assert feed.asked == [None, "e1-2", "e1-3"]


async def test_a_gap_is_told(hear: Callable) -> None:
    feed = Scripted([arrival(1)], [Arrival("", None, is_gap=True), arrival(40)])
    heard = await hear(feed, 3)
    assert heard.log == ["e11", "gap", "e140"]


async def test_behind_a_gap_it_is_resumed_though_nothing_came_yet(hear: Callable) -> None:
    feed = Scripted([arrival(1)], [Arrival("e1-30", None, is_gap=True)], [arrival(31)])
    heard = await hear(feed, 4)
    assert feed.asked == [None, "e1-1", "e1-30", "e1-31"]
    assert heard.log == ["e11", "gap", "e131"]


async def test_another_epoch_is_a_gap_and_counts_anew(hear: Callable) -> None:
    heard = await hear(Scripted([arrival(7)], [arrival(1, "e2")]), 3)
    assert heard.log == ["e17", "gap", "e21"]


async def test_a_bookmark_makes_a_quiet_stream_resumable(hear: Callable) -> None:
    feed = Scripted([Arrival("e1-5", None)], [arrival(6)])
    heard = await hear(feed, 3)
    assert feed.asked == [None, "e1-5", "e1-6"]
    assert heard.log == ["e16"]


class Answering:
    """Peers of which one answers with a stream that says nothing and ends."""

    def __init__(self) -> None:
        self.asked = httpx2.QueryParams()

    @asynccontextmanager
    async def stream(
        self, *_args: object, params: dict[str, str | list[str]], **_options: object
    ) -> AsyncIterator[httpx2.Response]:
        self.asked = httpx2.QueryParams(params)
        headers = {"Content-Type": "text/event-stream", "Last-Event-ID": "e1-5"}
        asked = httpx2.Request("GET", "http://notification/notifications/stream")
        yield httpx2.Response(200, headers=headers, content=b": subscribed\n\n", request=asked)


async def test_where_a_stream_begins_the_answers_header_tells() -> None:
    async with PeerFeed(cast("Peers", Answering())).open(None, Interest()) as arrivals:
        assert [arrival async for arrival in arrivals] == [Arrival("e1-5", None)]


async def test_what_is_of_interest_is_asked_for() -> None:
    peers = Answering()
    interest = Interest(("order.*", "secret.*"), (("secret.*", "orders"), ("secret.*", "a:b&c")))
    async with PeerFeed(cast("Peers", peers)).open(None, interest):
        assert peers.asked.get_list("type") == ["order.*,secret.*"]
        assert peers.asked.get_list("about") == ["secret.*:orders", "secret.*:a:b&c"]
    async with PeerFeed(cast("Peers", peers)).open(None, Interest()):
        assert not peers.asked


async def test_an_interest_that_changed_is_asked_for_where_the_stream_is(hear: Callable) -> None:
    feed = Scripted([Arrival("e1-5", None)])
    heard = await hear(feed, 2)
    heard.interest = Interest(("order.*",))
    assert await heard.stream.reopen(2.0)
    assert feed.asked == [None, "e1-5", "e1-5"]
    assert feed.interests == [Interest(), Interest(), heard.interest]
    assert heard.log == []


async def test_a_caller_that_gives_up_leaves_the_stream_as_it_is_meant_to_be(hear: Callable) -> None:
    feed = Scripted([Arrival("e1-5", None)])
    heard = await hear(feed, 2)
    heard.interest = Interest(("order.*",))
    asking = asyncio.create_task(heard.stream.reopen(2.0))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await until(lambda: feed.interests[-1] == heard.interest and heard.stream.connected)
    assert heard.log == []


async def test_what_is_wanted_while_it_is_opened_is_asked_for_as_well(hear: Callable) -> None:
    feed = Scripted([Arrival("e1-5", None)])
    heard = await hear(feed, 2)
    both = []
    for types in (("a.one",), ("a.one", "a.two")):
        heard.interest = Interest(types)
        both.append(asyncio.create_task(heard.stream.reopen(2.0)))
        await asyncio.sleep(0)
    assert await asyncio.gather(*both) == [True, True]
    assert feed.interests[-1] == heard.interest


async def test_a_bookmark_moves_the_place_to_resume_from_and_never_back(hear: Callable) -> None:
    feed = Scripted([arrival(3), Arrival("e1-9", None), Arrival("e1-4", None)], [arrival(10)])
    heard = await hear(feed, 3)
    assert feed.asked == [None, "e1-9", "e1-10"]
    assert heard.log == ["e13", "e110"]


async def test_stopping_while_it_is_opened_anew_leaves_nothing_behind() -> None:
    feed = Scripted()
    heard = Heard(feed)
    assert await heard.stream.start(2.0)
    heard.interest = Interest(("order.*",))
    asking = asyncio.create_task(heard.stream.reopen(2.0))
    await asyncio.sleep(0)
    await heard.stream.stop()
    assert not await asking
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("event stream")]


async def test_what_is_opened_anew_too_late_is_a_gap(hear: Callable) -> None:
    feed = Scripted([Arrival("e1-5", None)])
    heard = await hear(feed, 2)
    feed.openings = [Unavailable("away"), Unavailable("away")]
    heard.interest = Interest(("order.*",))
    assert not await heard.stream.reopen(0.05)
    await until(lambda: heard.log)
    assert heard.log == ["gap"]


async def test_without_a_place_to_resume_from_everything_is_fetched_anew(hear: Callable) -> None:
    heard = await hear(Scripted([]), 2)
    await until(lambda: heard.log)
    assert heard.log == ["gap"]


async def test_it_is_opened_again_and_again_until_somebody_answers(hear: Callable) -> None:
    feed = Scripted(Unavailable("away"), ConnectionError(), [arrival(1)])
    heard = await hear(feed, 4)
    assert "e11" in heard.log


async def test_starting_with_nobody_there_takes_a_bounded_time_and_the_late_start_is_a_gap() -> None:
    feed = Scripted(Unavailable("away"), Unavailable("away"))
    heard = Heard(feed)
    assert not await heard.stream.start(0.05)
    await until(lambda: heard.log)
    assert heard.log == ["gap"]
    await heard.stream.stop()
    assert not heard.stream.connected


def test_places_are_compared_within_an_epoch() -> None:
    assert place_of("a-b-12") == ("a-b", 12)
    assert place_of("12") == ("", 12)
    assert [place_of(text) for text in ("", "e1-", "e1-x", "e1--")] == [None] * 4
    assert repeats(("e", 5), ("e", 5))
    assert not repeats(("e", 6), ("e", 5))
    assert not repeats(("f", 1), ("e", 5))
    assert not repeats(("e", 1), None)
