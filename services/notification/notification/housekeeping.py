"""What is done in the background: data that has expired and secrets that sign no more are erased, what is too
old is removed, queues are measured, and it is remembered how far the log has come.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial

from fountain_common.db import Database
from fountain_common.logging import get_logger

from notification.clock_watch import ClockWatch
from notification.log import EventLog
from notification.metrics import DeliveryMetrics
from notification.pace import Pace
from notification.repository import event_types
from notification.repository_deliveries import bring_forward, queues
from notification.repository_retention import (
    erase_expired,
    has_expired,
    prune_deliveries,
    removable,
    remove,
    span_of,
)
from notification.repository_subscriptions import erase_outlived_secrets, has_outlived_secrets
from notification.retention import Cut, cuts
from notification.scrub import empty_journal
from notification.settings import Settings

PORTION = 500
ERASE_SECONDS = 1.0
SECRETS_SECONDS = 60.0
REMEMBER_SECONDS = 1.0
CLOCK_SECONDS = 1.0
MEASURE_SECONDS = 10.0
DAY_SECONDS = 86400.0


class Housekeeping:
    """See the module.

    Args:
        log, database: of this service.
        settings: what is kept, and for how long.
        metrics: takes how the queues stand.
    """

    def __init__(
        self, log: EventLog, database: Database, settings: Settings, metrics: DeliveryMetrics
    ) -> None:
        self._log, self._database, self._settings, self._metrics = log, database, settings, metrics
        self._tasks: list[asyncio.Task[None]] = []
        # A process that was killed may have left something.
        self._is_clean = False
        self._watch, self._set_back = ClockWatch(), 0.0

    def start(self) -> None:
        """Begin."""
        chores = (
            (self.erase, ERASE_SECONDS),
            (self.erase_secrets, SECRETS_SECONDS),
            (self._log.remember, REMEMBER_SECONDS),
            (self.follow_clock, CLOCK_SECONDS),
            (self.measure, MEASURE_SECONDS),
            (self.clean, self._settings.retention_interval_seconds),
        )
        self._tasks = [asyncio.create_task(self._repeat(chore, seconds)) for chore, seconds in chores]

    async def stop(self) -> None:
        """End."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _repeat(self, chore: Callable[[], Awaitable[object]], seconds: float) -> None:
        while True:
            try:
                await chore()
            except Exception as error:  # noqa: BLE001 - the next time it may go better
                get_logger().error("housekeeping_failed", chore=chore.__name__, exc_info=error)
            await asyncio.sleep(seconds)

    async def follow_clock(self) -> None:
        """Bring forward what waits for a moment that has moved away, because the clock was set back."""
        now = self._log.now()
        # What could not be written the last time is owed still.
        self._set_back += self._watch.set_back_by(now, time.monotonic())
        if self._set_back:
            await self._database.write(partial(bring_forward, seconds=self._set_back, now=now))
            get_logger().warning("clock_was_set_back", seconds=round(self._set_back))
            self._set_back = 0.0

    async def erase(self) -> int:
        """Erase the data of what has expired, from the disk too; answers how many events."""
        total = 0
        while await self._database.read(partial(has_expired, now=self._log.now())):
            erased = await self._database.write(partial(erase_expired, now=self._log.now(), limit=PORTION))
            self._log.replace(erased)
            total += len(erased)
        self._is_clean = self._is_clean and not total
        if not self._is_clean:
            self._is_clean = await asyncio.to_thread(empty_journal, self._database)
        return total

    async def erase_secrets(self) -> int:
        """Erase the signing secrets that were replaced and sign no more; answers how many."""
        now = self._log.now()
        if not await self._database.read(partial(has_outlived_secrets, now=now)):
            return 0
        erased = await self._database.write(partial(erase_outlived_secrets, now=now))
        # `erase` sees to it that they are gone from the disk too.
        self._is_clean = False
        return erased

    async def clean(self) -> int:
        """Remove what is not kept any longer; answers how many events."""
        total = 0
        types = await self._database.read(event_types, long=True)
        for cut in cuts(types, self._settings.retention, self._log.now()):
            total += await self._clean_type(cut)
        before = self._log.now() - self._settings.delivery_retention_days * DAY_SECONDS
        await self._prune(before)
        if total:
            get_logger().info("events_removed", count=total)
        return total

    async def _clean_type(self, cut: Cut) -> int:
        span = await self._database.read(
            partial(span_of, cut=cut, retained=self._settings.retained_per_type), long=True
        )
        total, behind, pace = 0, 0, Pace()
        while span is not None:
            find = partial(removable, span=span, behind=behind, limit=pace.portion)
            positions = await self._database.read(find, long=True)
            if not positions:
                break
            # Before it happens, so that no reader finds events gone and is not told.
            self._log.note_removed(span.type, positions[-1])
            began = time.monotonic()
            removed = await self._database.write(partial(remove, type_=span.type, positions=positions))
            took = time.monotonic() - began
            # What was kept after all, for a subscription that came meanwhile, stays in memory too.
            self._log.forget(removed)
            total, behind = total + len(removed), positions[-1]
            await asyncio.sleep(pace.rest(took))
        return total

    async def _prune(self, before: float) -> None:
        pace, pruned = Pace(), True
        while pruned:
            began = time.monotonic()
            prune = partial(prune_deliveries, before=before, limit=pace.portion)
            pruned = bool(await self._database.write(prune))
            await asyncio.sleep(pace.rest(time.monotonic() - began))

    async def measure(self) -> None:
        """Measure the queues of the subscriptions."""
        found = await self._database.read(queues, long=True)
        now = self._log.now()
        for gauge in (self._metrics.depth, self._metrics.dead, self._metrics.oldest):
            gauge.clear()
        for queue in found:
            name = queue.subscription
            self._metrics.depth.labels(name).set(queue.pending)
            self._metrics.dead.labels(name).set(queue.dead)
            self._metrics.oldest.labels(name).set(
                max(0.0, now - queue.oldest) if queue.oldest is not None else 0
            )
