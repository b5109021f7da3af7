"""Transactional outbox: an event is a row that is written with the change it tells of.

Either both are kept or neither. A dispatcher hands the rows on, in order, until each is accepted; with the
notification service away they wait. The event's id is its idempotency key: handed on twice, stored once.
Those that wait together are handed on in one request, as a busy service writes many.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge

from fountain_common.db import Database
from fountain_common.errors import Problem, Unavailable
from fountain_common.logging import get_logger
from fountain_common.outbox_rows import (
    OUTBOX,
    TOPIC,
    Entry,
    Waiting,
    count_waiting,
    enqueue,
    enqueue_all,
    first_waiting,
    outbox_table,
    remove,
    set_aside,
)
from fountain_common.publisher import TokenNotHonoured

__all__ = ["OUTBOX", "OutboxDispatcher", "Publish", "PublishAll", "enqueue", "enqueue_all", "outbox_table"]

FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 5.0
PACE_SECONDS = 0.005
SLOWEST_PACE_SECONDS = 0.08
_PACE_EVENTS = 8
_QUICK_REMOVALS = 256
REMOVAL_SECONDS = 0.2
"""What was accepted stays so long in the table and goes with what is accepted meanwhile: a commit for each
would stand in the way of the changes that are written next.
"""
MOST_UNREMOVED = 2000
"""With more in the table than that, nothing is handed on before they are removed: each question for what
waits names them all.
"""
# A receiver that does not honour our token is there, and may in a moment: for some seconds it is asked often.
_UNKNOWN_FAILURES, _UNKNOWN_TRIES = 3, 15
# The whole table is read to count it.
_COUNT_SECONDS = 1.0
SOONEST_SECONDS = 1.0
"""However many events are written meanwhile, a receiver that is away is not asked sooner again."""
# The receiver will never take these, whenever they are sent. All else may pass.
_HOPELESS = frozenset({400, 403, 409, 413, 422})


class Publish(Protocol):
    """How an event is handed on: `platform.events.publish` is one."""

    def __call__(
        self,
        type: str,  # noqa: A002 - the CloudEvents name of the field
        subject: str | None,
        data: Any,
        *,
        idempotency_key: str,
        recipient: str | None,
    ) -> Awaitable[object]:
        """Return once it is accepted; raise to be called again, or a 400, 403, 409, 413 or 422 to have it
        set aside.
        """
        ...


class PublishAll(Protocol):
    """How several events are handed on at once: `platform.events.publish_all` is one."""

    def __call__(self, events: bytes) -> Awaitable[object]:
        """Return once all of a JSON array are accepted, in this order, each known again by its `id`; raise if
        any is not.
        """
        ...


def wait_seconds(failures: int, jitter: float) -> float:
    """Return how long to wait after so many failures in a row: doubled each time, to 5 s, and spread.

    Args:
        failures: from 1.
        jitter: 0 to 1, drawn at random; the wait is between half and all of the step.
    """
    step = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(failures - 1, 16))
    return step * (0.5 + jitter / 2)


def pace_seconds(count: int) -> float:
    """Return how soon behind a request with so many events the next one goes.

    The first event goes at once; what comes soon behind it goes together, as the request is the dear part.
    The more there are, the more a moment brings, and the less it matters to each.
    """
    return min(SLOWEST_PACE_SECONDS, PACE_SECONDS * max(1.0, count / _PACE_EVENTS))


class OutboxDispatcher:
    """Hands events on, in order, until each is accepted; then removes it.

    It wakes when a transaction with an event is committed. What was accepted goes from the table a moment
    later; where the process is killed before that, it is handed on again, and known by its id. An event that
    the receiver will never take (a 400, 403, 409, 413 or 422) is set aside with the reason, logged and
    counted, so that it does not hold up the others; its row stays for 30 days.

    Args:
        db: where the outbox is.
        publish: hands one on.
        publish_all: hands on those that wait together; without it they go one after the other.
        registry: takes `fountain_outbox_*` metrics.
    """

    def __init__(
        self,
        db: Database,
        publish: Publish,
        *,
        publish_all: PublishAll | None = None,
        registry: CollectorRegistry | None = None,
    ) -> None:
        self._db, self._publish, self._publish_all = db, publish, publish_all
        self._counted_at = float("-inf")
        self._wake, self._hurry = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        # Accepted, and still in the table: how many events are in the row at which position. Where this
        # process is killed, they are handed on once more.
        self._accepted: dict[int, int] = {}
        self._removal: asyncio.Task[None] | None = None
        self._stop_listening: Callable[[], None] | None = None
        self._waiting = Gauge(
            "fountain_outbox_waiting", "Events that wait to be accepted.", registry=registry
        )
        self._sent = Counter("fountain_outbox_accepted", "Events accepted.", registry=registry)
        self._failed = Counter("fountain_outbox_failures", "Attempts that failed.", registry=registry)
        self._refused = Counter(
            "fountain_outbox_refused", "Events set aside, never to be accepted.", registry=registry
        )

    async def start(self) -> None:
        """Begin, with what an earlier process left."""
        self._stop_listening = self._db.listen(TOPIC, self._wake.set)
        self._wake.set()
        self._task = asyncio.create_task(self._run(), name="outbox")

    async def stop(self) -> None:
        """End; what has not been accepted waits in the table."""
        if self._stop_listening is not None:
            self._stop_listening()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        if self._removal is not None:
            self._removal.cancel()
            await asyncio.gather(self._removal, return_exceptions=True)
        # Or the receivers would be handed everything again at the next start.
        try:
            await self._remove()
        except Unavailable as error:
            get_logger().warning("outbox_not_cleared", exc_info=error)

    def wake(self) -> None:
        """Try at once, such as when the receiver is known to be back."""
        self._wake.set()
        self._hurry.set()

    async def waiting(self) -> int:
        """Return how many events wait."""
        accepted = sum(self._accepted.values())
        # Some of these may be removed while it is counted.
        return max(0, await self._db.read(count_waiting, long=True) - accepted)

    async def _run(self) -> None:
        failures = unknown = 0
        while True:
            try:
                await self._hand_on_all()
                failures = unknown = 0
                await self._wake.wait()
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it was, the event is still in the table
                failures += 1
                if isinstance(error, TokenNotHonoured) and unknown < _UNKNOWN_TRIES:
                    failures, unknown = min(failures, _UNKNOWN_FAILURES), unknown + 1
                self._failed.inc()
                pause = wait_seconds(failures, random.random())  # noqa: S311 - spreads load, guards nothing
                get_logger().warning(
                    "outbox_waits", failures=failures, seconds=round(pause, 2), exc_info=error
                )
                if await self._pause(pause):
                    failures = 0

    async def _pause(self, seconds: float) -> bool:
        """Wait for so long, for `wake`, or for a new event; for that not less than a second. Tell whether it
        was `wake`.
        """
        for event, share in ((self._hurry, SOONEST_SECONDS), (self._wake, seconds - SOONEST_SECONDS)):
            with suppress(TimeoutError):
                # Not wait_for: on Python 3.11 it loses a cancellation that meets a wake-up.
                async with asyncio.timeout(min(share, seconds)):
                    await event.wait()
                    break
        return self._hurry.is_set()

    async def _hand_on_all(self) -> None:
        self._wake.clear()
        self._hurry.clear()
        while (waiting := await self._first_waiting()).entries:
            await self._count(waiting)
            next_at = time.monotonic() + pace_seconds(waiting.event_count)
            if not await self._hand_on_together(waiting):
                await self._hand_on_one_by_one(waiting.entries)
            if not waiting.more:
                await asyncio.sleep(max(0.0, next_at - time.monotonic()))
        self._waiting.set(0)

    async def _first_waiting(self) -> Waiting:
        if len(self._accepted) >= MOST_UNREMOVED:
            await self._remove()
        return await self._db.read(partial(first_waiting, without=frozenset(self._accepted)))

    async def _count(self, waiting: Waiting) -> None:
        if not waiting.more:
            self._waiting.set(waiting.event_count)
        elif time.monotonic() >= self._counted_at + _COUNT_SECONDS:
            self._waiting.set(await self.waiting())
            self._counted_at = time.monotonic()

    async def _hand_on_together(self, waiting: Waiting) -> bool:
        """Hand all on in one request; False, and none is accepted, if one of them is to be set aside."""
        if self._publish_all is None or waiting.event_count == 1:
            return False
        try:
            await self._publish_all(waiting.encoded)
        except Problem as problem:
            if problem.status not in _HOPELESS:
                raise
            return False
        self._sent.inc(waiting.event_count)
        self._accept(waiting.entries)
        return True

    async def _hand_on_one_by_one(self, entries: list[Entry]) -> None:
        for entry in entries:
            if await self._hand_on_each(entry):
                self._accept([entry])

    async def _hand_on_each(self, entry: Entry) -> bool:
        """Hand on a row's events; tell whether it can go: one that was set aside by itself stays."""
        aside = False
        for event in entry.events:
            if (reason := await self._hand_on(event)) is not None:
                aside = True
                await self._db.write(partial(set_aside, entry=entry, event=event, reason=reason))
        return entry.is_batch or not aside

    def _accept(self, entries: Iterable[Entry]) -> None:
        self._accepted.update((entry.position, entry.count) for entry in entries)
        if self._removal is None:
            self._removal = asyncio.create_task(self._remove_soon(), name="outbox removal")

    async def _remove_soon(self) -> None:
        failures = 0
        while self._accepted:
            await asyncio.sleep(wait_seconds(failures, 1.0) if failures else REMOVAL_SECONDS)
            try:
                await asyncio.shield(self._remove())
                failures = 0
            except Exception as error:  # noqa: BLE001 - they are known here, and not handed on again
                failures += 1
                get_logger().warning("outbox_not_cleared", failures=failures, exc_info=error)
        self._removal = None

    async def _remove(self) -> None:
        positions = sorted(self._accepted)
        if positions:
            quick = len(positions) <= _QUICK_REMOVALS
            await self._db.write_rows(partial(remove, positions=positions), quick=quick)
            for position in positions:
                self._accepted.pop(position, None)

    async def _hand_on(self, event: Mapping[str, Any]) -> str | None:
        """Hand one on; answer why it is to be set aside, if it is."""
        try:
            await self._publish(
                event["type"],
                event.get("subject"),
                event["data"],
                idempotency_key=event["id"],
                recipient=event.get("recipient"),
            )
        except Problem as problem:
            if problem.status not in _HOPELESS:
                raise
            self._refused.inc()
            get_logger().error(
                "outbox_event_refused", event_id=event["id"], type=event["type"], status=problem.status
            )
            return f"{problem.status} {problem.title}"
        self._sent.inc()
        return None
