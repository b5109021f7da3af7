"""The courier of one subscription: takes what is due, sends it, writes down what came of it.

Each subscription has its own, with its own limit of concurrent deliveries and its own circuit breaker, so
that one whose receiver is dead or slow holds up nobody else's.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from fountain_common.breaker import Breaker
from fountain_common.db import Database
from fountain_common.logging import get_logger
from fountain_common.sealing import SealBroken
from sqlalchemy.orm import Session

from notification import repository_deliveries as queue
from notification.event import Stored
from notification.lanes import Head, Lanes
from notification.metrics import DeliveryMetrics
from notification.repository import event_at
from notification.repository_subscriptions import disable_subscription, note_failing, note_missed
from notification.schedule import Schedule
from notification.sender import Answer, NotSent, Sender
from notification.signing import signature_headers
from notification.subscription import Subscription
from notification.verdict import Verdict, judge

MAX_LANES = 10_000
"""More subjects than these wait in the log, not in memory."""
PAUSE_AFTER_TROUBLE_SECONDS = 1.0
# No answer, or one that asks to be left alone. A 500 to one event says nothing about the next.
_UNABLE = frozenset({0, 429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Terms:
    """How a subscription is served: its own wishes, or else the settings.

    Attributes:
        schedule: seconds before each attempt.
        concurrency: how many deliveries may be under way at once.
        disable_after_seconds: of nothing but failures.
    """

    schedule: Schedule
    concurrency: int
    disable_after_seconds: float


class Courier:
    """Serves one subscription.

    Args:
        subscription: as it was read; a change makes a new courier.
        sender: the way to its receiver; closed with the courier.
        terms: how it is served.
        database: where deliveries are.
        open_secret: opens a sealed signing secret of this subscription.
        epoch: the log's, for the ids of the messages.
        metrics: counts attempts.
        on_disabled: is called when the courier has disabled the subscription.
        on_room: is called when it was full and is not any more.
        clock: unix seconds.
        max_lanes: how many subjects are held in memory.
    """

    def __init__(
        self,
        subscription: Subscription,
        sender: Sender,
        terms: Terms,
        database: Database,
        *,
        open_secret: Callable[[bytes], str],
        epoch: str,
        metrics: DeliveryMetrics,
        on_disabled: Callable[[], Awaitable[None]],
        on_room: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
        max_lanes: int = MAX_LANES,
    ) -> None:
        self.subscription = subscription
        self._sender, self._terms, self._database = sender, terms, database
        self._open_secret, self._epoch, self._metrics = open_secret, epoch, metrics
        self._on_disabled, self._on_room, self._clock = on_disabled, on_room, clock
        self._max_lanes = max_lanes
        self._rng = rng or random.Random()  # noqa: S311 - spreads load, guards nothing
        self._lanes = Lanes()
        self._breaker = Breaker()
        self._failing_since = subscription.failing_since
        self._wake = asyncio.Event()
        self._reload = True
        self._was_full = False
        self._more_stored = False
        self._under_way: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._stop_listening: Callable[[], None] = lambda: None

    @property
    def full(self) -> bool:
        """Tell whether so many subjects wait that more must not be added."""
        return len(self._lanes) >= self._max_lanes

    def start(self) -> None:
        """Begin to deliver."""
        self._stop_listening = self._database.listen(queue.MOVED, self.reload)
        self._task = asyncio.create_task(self._run(), name=f"courier of {self.subscription.name}")

    async def stop(self) -> None:
        """End; what is under way is broken off, and tried again by whoever comes next."""
        self._stop_listening()
        tasks = [*self._under_way, *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._sender.close()

    def reload(self) -> None:
        """Look at the database again for what is due."""
        self._reload = True
        self._wake.set()

    def offer(self, heads: Iterable[Head]) -> None:
        """Take note of the first deliveries of some lanes."""
        for head in heads:
            self._lanes.offer(head)
        self._was_full = self._was_full or self.full
        self._wake.set()

    async def _run(self) -> None:
        while True:
            try:
                if self._reload:
                    self._reload = False
                    self._lanes.expect()
                    name = self.subscription.name
                    found = await self._database.read(
                        partial(queue.heads, subscription=name, limit=self._max_lanes), long=True
                    )
                    self._more_stored = len(found) == self._max_lanes
                    self._lanes.replace(found)
                    self._was_full = self._was_full or self.full
                wait = self._start_due()
            except Exception as error:  # noqa: BLE001 - a courier must not die of a moment's trouble
                get_logger().error("courier_in_trouble", subscription=self.subscription.name, exc_info=error)
                self._reload, wait = True, PAUSE_AFTER_TROUBLE_SECONDS
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            self._wake.clear()

    def _start_due(self) -> float | None:
        """Start what is due; return the seconds until there is something to do, None if only an event can
        bring it.
        """
        while len(self._under_way) < self._terms.concurrency:
            now, due = self._clock(), self._lanes.next_due()
            if due is None:
                return None
            if due > now:
                return due - now
            if not self._breaker.allows(rested := time.monotonic()):
                return max(0.01, self._breaker.open_until - rested)
            head = self._lanes.take(now)
            assert head is not None  # noqa: S101 - `next_due` said so
            task = asyncio.create_task(self._deliver(head))
            self._under_way.add(task)
            task.add_done_callback(self._done)
        return None

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._look_for_more()
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            # It was sent and could not be written down: it will be sent again.
            get_logger().error("delivery_not_recorded", subscription=self.subscription.name, exc_info=error)

    def _look_for_more(self) -> None:
        """Take up what had no room, once half of it has been made."""
        if len(self._lanes) > self._max_lanes // 2:
            return
        if self._more_stored:
            self._more_stored, self._reload = False, True
        if self._was_full:
            self._was_full = False
            self._on_room()

    async def _deliver(self, head: Head) -> None:
        following: Head | None = head
        try:
            event = await self._database.read(lambda session: event_at(session, head.position))
            if event is None or not self.subscription.filter.may_see(event):
                following = await self._write_down(head, None, Verdict("dropped"), missed=event is None)
                return
            following = await self._attempt(head, event.at_time(self._clock()))
        except Exception:
            following = replace(head, due=self._clock() + PAUSE_AFTER_TROUBLE_SECONDS)
            raise
        finally:
            self._lanes.finish(head.subject, following)

    async def _attempt(self, head: Head, event: Stored) -> Head | None:
        started, began = self._clock(), time.monotonic()
        try:
            outcome: Answer | str = await self._sender.send(self._headers(event, started), event.body)
        except NotSent as reason:
            outcome = str(reason)
        except SealBroken:
            outcome = "The signing secret does not open any more; rotate it."
        except Exception as error:  # noqa: BLE001 - or it were tried for ever, and nobody told
            get_logger().error("delivery_not_sent", subscription=self.subscription.name, exc_info=error)
            outcome = f"It could not be sent: {type(error).__name__}."
        latency, now = time.monotonic() - began, self._clock()
        verdict = judge(outcome, head.attempts + 1, now, self._rng, self._terms.schedule)
        answer = outcome if isinstance(outcome, Answer) else Answer(0)
        attempt = queue.Attempt(
            at=started,
            latency_ms=round(latency * 1000, 3),
            status_code=answer.status or None,
            error=verdict.error[:255] if verdict.error else None,
            answer=answer.body,
            owner=self.subscription.owner,
        )
        self._metrics.attempts.labels(verdict.status if verdict.status != "pending" else "failed").inc()
        if answer.status in _UNABLE:
            self._breaker.failed(time.monotonic())
        else:
            self._breaker.succeeded()
        return await self._write_down(head, attempt, verdict)

    def _headers(self, event: Stored, now: float) -> dict[str, str]:
        newest, *earlier = self.subscription.sealed_secrets(now)
        secrets = [self._open_secret(newest)]
        for sealed in earlier:
            # One that does not open must not keep the secret from signing that replaced it.
            with suppress(SealBroken):
                secrets.append(self._open_secret(sealed))
        return signature_headers(secrets, f"evt_{self._epoch}_{event.position}", now, event.body)

    async def _write_down(
        self, head: Head, attempt: queue.Attempt | None, verdict: Verdict, *, missed: bool = False
    ) -> Head | None:
        """Record what happened; return what comes next in the lane. `missed`: its event was removed."""
        now, name = self._clock(), self.subscription.name
        reason = self._reason_to_disable(attempt, verdict, now)
        since_before, since = self._failing_since, self._failing_since
        if attempt is not None:
            since = None if verdict.succeeded else since_before or now

        def write(session: Session) -> tuple[Head | None, bool]:
            queue.record(session, head, attempt, status=verdict.status, next_at=verdict.next_at, now=now)
            if missed:
                note_missed(session, name, head.position)
            if since != since_before:
                note_failing(session, name, since)
            disabled = reason is not None and disable_subscription(session, name, reason, now)
            return queue.head_of(session, name, head.subject), disabled

        following, disabled = await self._database.write(write)
        self._failing_since = since
        if missed:
            self._metrics.missed.inc()
            get_logger().warning("subscription_missed_events", subscription=name, through=head.position)
        if disabled:
            get_logger().warning("subscription_disabled", subscription=name, reason=reason)
            await self._on_disabled()
        return following

    def _reason_to_disable(self, attempt: queue.Attempt | None, verdict: Verdict, now: float) -> str | None:
        if verdict.gone:
            return "The receiver answered 410: it is gone for good."
        if attempt is None or verdict.succeeded or self._failing_since is None:
            return None
        if now - self._failing_since < self._terms.disable_after_seconds:
            return None
        return "Every delivery has failed for too long."
