"""One stream of events, held open: resumed where it broke, and honest about what was missed."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import httpx2
import orjson
from pydantic import ValidationError

from fountain_common.errors import Problem, Unavailable
from fountain_common.event import Event
from fountain_common.http import Peers
from fountain_common.logging import get_logger

HEARTBEAT_SECONDS = 15.0
SILENCE_SECONDS = 3 * HEARTBEAT_SECONDS
"""Without even a heartbeat for so long, the connection is dead."""
FIRST_RETRY_SECONDS = 0.1
LONGEST_RETRY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """One thing that a stream brought.

    Attributes:
        id: `<epoch>-<position>`, to resume after it; "" if it carries none.
        event: the event; None for a gap and for a bookmark.
        is_gap: events were missed for good. Without event or gap it is a bookmark: the place where the stream
            begins.
    """

    id: str
    event: Event | None
    is_gap: bool = False


@dataclass(frozen=True, slots=True)
class Interest:
    """What somebody listens to.

    Attributes:
        types: patterns of types, any of which will do; none is everything that he may see.
        about: `(pattern, subject)`: of the types that the pattern covers, only what is about this subject, or
            about another that is named with such a pattern.
    """

    types: tuple[str, ...] = ()
    about: tuple[tuple[str, str], ...] = ()


class Feed(Protocol):
    """Where a stream of events comes from."""

    def open(
        self, last_event_id: str | None, interest: Interest
    ) -> AbstractAsyncContextManager[AsyncIterator[Arrival]]:
        """Open a stream after this event, or at the present; it is subscribed once entered. It may bring more
        than is of interest. Raises when it cannot be opened.
        """
        ...


class PeerFeed:
    """The notification service's stream.

    Args:
        peers: the way there.
    """

    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    @asynccontextmanager
    async def open(
        self, last_event_id: str | None, interest: Interest
    ) -> AsyncIterator[AsyncIterator[Arrival]]:
        """Open `GET /notifications/stream`; see `Feed`."""
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if last_event_id:
            headers["Last-Event-ID"] = last_event_id
        params: dict[str, str | list[str]] = {}
        if interest.types:
            params["type"] = ",".join(interest.types)
        if interest.about:
            params["about"] = [f"{pattern}:{subject}" for pattern, subject in interest.about]
        timeout = httpx2.Timeout(5.0, connect=2.0, read=SILENCE_SECONDS)
        async with self._peers.stream(
            "GET", "notification", "/notifications/stream", headers=headers, params=params, timeout=timeout
        ) as response:
            if response.status_code != 200:
                raise Unavailable(f"The notification service answered {response.status_code} to the stream.")
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                raise Unavailable("The notification service answered with something other than a stream.")
            begins = response.headers.get("last-event-id", "")
            async with aclosing(_arrivals(httpx2.EventSource(response), begins)) as arrivals:
                yield arrivals


async def _arrivals(source: httpx2.EventSource, begins: str) -> AsyncGenerator[Arrival, None]:
    if begins:
        yield Arrival(begins, None)
    async for sent in source:
        if sent.event == "gap":
            yield Arrival(sent.id, None, is_gap=True)
        elif sent.event == "message" and not sent.data:
            yield Arrival(sent.id, None)
        elif sent.event == "message":
            try:
                yield Arrival(sent.id, Event.model_validate(orjson.loads(sent.data)))
            except (ValidationError, orjson.JSONDecodeError):
                get_logger().warning("event_not_understood", event_id=sent.id)


Place = tuple[str, int]


def place_of(arrival_id: str) -> Place | None:
    """Return epoch and position of `<epoch>-<position>`; None if it is not of that form."""
    epoch, _, position = arrival_id.rpartition("-")
    return (epoch, int(position)) if position.isdecimal() else None


def repeats(place: Place, seen: Place | None) -> bool:
    """Tell whether an event at this place was there already; another epoch begins anew."""
    return seen is not None and seen[0] == place[0] and place[1] <= seen[1]


class EventStream:
    """Keeps one stream open, and hands each event on once.

    Args:
        feed: where it comes from.
        on_event: is handed each event, in order; must not raise.
        on_gap: is told that events were missed: all state that events keep current must be fetched anew. It
            is told also when the very first stream opens late, since nothing before it was heard.
        on_open: is told whenever it has been opened.
        interest: asked each time that the stream is opened. What nobody here listens to is not sent: others'
            traffic delays no rotation.
    """

    def __init__(
        self,
        feed: Feed,
        on_event: Callable[[Event], Awaitable[None]],
        on_gap: Callable[[], Awaitable[None]],
        interest: Callable[[], Interest] = Interest,
        *,
        on_open: Callable[[], None] = lambda: None,
    ) -> None:
        self._feed, self._on_event, self._on_gap, self._interest = feed, on_event, on_gap, interest
        self._on_open = on_open
        self._asked = Interest()
        self._seen: tuple[str, int] | None = None
        self._last_id: str | None = None
        self._unheard = self._brought = self._anew = False
        self._waiting: set[asyncio.Future[None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None
        self.connected = False
        self.reconnects = 0

    async def start(self, wait_seconds: float) -> bool:
        """Open it, waiting at most so long for that; it goes on trying in the background. Tells whether it is
        open.
        """
        self._seen = self._last_id = None
        self._unheard = self._anew = False
        self._task = asyncio.create_task(self._run(), name="event stream")
        return await self._is_opened(wait_seconds)

    @property
    def started(self) -> bool:
        """Tell whether it is to be open."""
        return self._task is not None

    async def reopen(self, wait_seconds: float) -> bool:
        """Open it anew where it is, if the interest has changed. Tells whether that was done in this time.

        Nothing is missed: it is resumed, or who listens is told of a gap once it is open. A caller that does
        not wait to the end changes nothing about it.
        """
        if self._task is None or (self._interest() == self._asked and self.connected):
            return self.connected
        if self._reading is not None and self._interest() != self._asked:
            self._anew = True
            self._reading.cancel()
        return await self._is_opened(wait_seconds)

    async def _is_opened(self, wait_seconds: float) -> bool:
        opened = asyncio.get_running_loop().create_future()
        self._waiting.add(opened)
        try:
            async with asyncio.timeout(wait_seconds):
                await opened
        except TimeoutError:
            self._unheard = True
        finally:
            self._waiting.discard(opened)
        return self.connected

    async def stop(self) -> None:
        """Close it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        self.connected = False
        self._tell_waiting()

    def _tell_waiting(self) -> None:
        for opened in self._waiting:
            if not opened.done():
                opened.set_result(None)

    async def _run(self) -> None:
        failures = 0
        while True:
            self._brought = self._anew = False
            self._asked = self._interest()
            self._reading = asyncio.create_task(self._read(), name="event stream, reading")
            try:
                await asyncio.wait([self._reading])
            finally:
                self._reading.cancel()
                ended = (await asyncio.gather(self._reading, return_exceptions=True))[0]
                self.connected = False
            # Without a place to resume from, nobody knows what is said until it is open again.
            self._unheard = self._unheard or self._last_id is None
            if self._anew:
                continue
            reason = ended.detail or ended.title if isinstance(ended, Problem) else type(ended).__name__
            # A stream that opens and ends at once, again and again, is no better than one that does not open.
            failures = 0 if self._brought else failures + 1
            if failures <= 1:
                reason = "ended" if ended is None else reason
                get_logger().info("event_stream_closed", reason=reason, resumes_after=self._last_id)
            self.reconnects += 1
            await asyncio.sleep(_pause(failures))

    async def _read(self) -> None:
        async with self._feed.open(self._last_id, self._asked) as arrivals:
            if self._interest() != self._asked:
                # Somebody began to listen to more while it was opened.
                self._anew = True
                return
            self.connected = True
            self._tell_waiting()
            self._on_open()
            if self._unheard:
                self._unheard = False
                await self._on_gap()
            async for arrival in arrivals:
                self._brought = self._brought or arrival.event is not None or arrival.is_gap
                await self._take(arrival)

    async def _take(self, arrival: Arrival) -> None:
        place = place_of(arrival.id)
        if arrival.is_gap:
            get_logger().warning("events_missed", resumed_after=self._last_id)
            # What is left behind the gap still comes, also if the stream breaks before the first of it.
            self._seen, self._last_id = None, arrival.id or None
            await self._on_gap()
        elif arrival.event is None:
            # A bookmark: nothing happened, and if the stream breaks now it is resumed from here.
            if place is not None and not repeats(place, place_of(self._last_id or "")):
                self._last_id = arrival.id
        elif place is None:
            await self._on_event(arrival.event)
        elif not repeats(place, self._seen):
            if self._seen is not None and place[0] != self._seen[0]:
                # The log was put back from a backup: what we know may be from after that.
                await self._on_gap()
            await self._on_event(arrival.event)
            self._seen, self._last_id = place, arrival.id


def _pause(failures: int) -> float:
    # Even a stream that ended in order is not opened again by everybody in the same moment.
    step = min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2.0 ** min(failures, 10))
    return step * (0.5 + 0.5 * random.random())  # noqa: S311 - spreads load
