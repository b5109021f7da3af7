"""Turns events into deliveries, and keeps a courier for each subscription that is enabled."""

import asyncio
import ssl
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from fountain_common.db import Database
from fountain_common.logging import get_logger
from fountain_common.platform import Platform
from fountain_common.sealing import Sealer
from sqlalchemy.orm import Session

from notification.courier import Courier, Terms
from notification.event import Stored
from notification.lanes import Head
from notification.log import EventLog
from notification.metrics import DeliveryMetrics
from notification.repository_deliveries import Due, enqueue, head_of
from notification.repository_subscriptions import (
    list_subscriptions,
    note_announced,
    note_had,
    subscription_named,
    unannounced,
)
from notification.sender import Guard, Sender, WebhookSender, default_tls
from notification.service_sender import ServiceSender
from notification.settings import Settings
from notification.subscription import Subscription, sealing_context

FEED_EVENTS = 200
UNWRITTEN_EVENTS = 500
RETRY_SECONDS = 1.0


@dataclass(eq=False, slots=True)
class _Portion:
    """What one subscription gets next: everything up to `through`."""

    courier: Courier
    due: list[Due]
    through: int
    overdue: bool


def _make_deliveries(portions: Sequence[_Portion], now: float, session: Session) -> list[list[Head]]:
    """Make deliveries, and answer for each portion what is first in the lanes that it touches."""
    heads: list[list[Head]] = []
    for portion in portions:
        name = portion.courier.subscription.name
        enqueue(session, name, portion.due, now)
        note_had(session, name, portion.through)
        found = (head_of(session, name, subject) for subject in {due.subject for due in portion.due})
        heads.append([head for head in found if head is not None])
    return heads


class Dispatcher:
    """See the module.

    Args:
        log: whose events are delivered.
        database: of the log.
        settings: how subscriptions are served that do not say.
        metrics: counts attempts.
        guard: decides where webhooks may go.
        platform: answers the way to services, once there is one.
        sealer: opens signing secrets.
    """

    def __init__(
        self,
        log: EventLog,
        database: Database,
        settings: Settings,
        metrics: DeliveryMetrics,
        *,
        guard: Guard,
        platform: Callable[[], Platform],
        sealer: Sealer,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._log, self._database, self._settings, self._metrics = log, database, settings, metrics
        self._guard, self._platform, self._sealer, self._tls = guard, platform, sealer, tls
        self._couriers: dict[str, Courier] = {}
        self._had: dict[str, int] = {}
        self._written: dict[str, int] = {}
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._announcing: set[asyncio.Task[None]] = set()
        self._changing = asyncio.Lock()
        self._stopping = False
        log.on_append(self._appended)

    async def start(self) -> None:
        """Begin to deliver, with what waits."""
        for subscription in await self._database.read(list_subscriptions):
            self._employ(subscription)
        self._tasks = [asyncio.create_task(self._feed(), name="feed deliveries")]
        self.announce_soon()

    async def stop(self) -> None:
        """End what is under way; it is taken up again at the next start."""
        # From now on nothing is begun: not by what is ended here, and not by a courier that disables its
        # subscription in this moment.
        self._stopping = True
        tasks = (*self._tasks, *self._announcing)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(courier.stop() for courier in self._couriers.values()))
        self._couriers.clear()

    async def changed(self, name: str) -> None:
        """Take note that a subscription was put, changed or removed."""
        async with self._changing:
            courier = self._couriers.get(name)
            if courier is not None:
                # Broken off in the middle of this, it is still there for `stop`.
                await courier.stop()
                self._couriers.pop(name, None)
            subscription = await self._database.read(lambda session: subscription_named(session, name))
            if subscription is None:
                self._had.pop(name, None)
                self._written.pop(name, None)
            else:
                self._employ(subscription)
        self._wake.set()

    def more(self, name: str) -> None:
        """Take note that deliveries of a subscription were added or begun anew."""
        courier = self._couriers.get(name)
        if courier is not None:
            courier.reload()

    def _employ(self, subscription: Subscription) -> None:
        if not subscription.enabled or self._stopping:
            return
        self._had[subscription.name] = self._written[subscription.name] = subscription.had
        options, settings = subscription.options, self._settings
        courier = Courier(
            subscription,
            self._sender(subscription),
            Terms(
                options.schedule or settings.delivery_schedule,
                options.concurrency or settings.delivery_concurrency,
                settings.disable_after_seconds,
            ),
            self._database,
            open_secret=partial(self._open, sealing_context(subscription.name)),
            epoch=self._log.epoch,
            metrics=self._metrics,
            on_disabled=partial(self._disabled, subscription.name),
            on_room=self._wake.set,
        )
        self._couriers[subscription.name] = courier
        courier.start()

    def _open(self, context: str, sealed: bytes) -> str:
        return self._sealer.open(context, sealed).decode()

    def _sender(self, subscription: Subscription) -> Sender:
        timeout = subscription.options.timeout_seconds or self._settings.delivery_timeout_seconds
        if subscription.service is not None:
            return ServiceSender(subscription.service, self._platform(), timeout)
        if self._tls is None:
            self._tls = default_tls()
        return WebhookSender(subscription.callback_url or "", self._guard, timeout, self._tls)

    # --- from events to deliveries
    # ------------------------------------------------------------------------------

    def _appended(self, _fresh: Sequence[Stored]) -> None:
        self._wake.set()

    async def _feed(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                while await self._feed_once():
                    pass
            except Exception as error:  # noqa: BLE001 - the events are in the log; they are taken up again
                get_logger().error("deliveries_not_made", exc_info=error)
                await asyncio.sleep(RETRY_SECONDS)
                self._wake.set()

    async def _feed_once(self) -> bool:
        """Make deliveries of the next events for each subscription that is behind; tells whether any may
        still be.
        """
        portions = [
            await self._portion(courier)
            for name, courier in list(self._couriers.items())
            if self._had.get(name, self._log.latest) < self._log.latest and not courier.full
        ]
        worth_writing = [portion for portion in portions if portion.due or portion.overdue]
        if worth_writing:
            heads = await self._database.write(partial(_make_deliveries, worth_writing, self._log.now()))
            for portion, found in zip(worth_writing, heads, strict=True):
                portion.courier.offer(found)
        for portion in portions:
            name = portion.courier.subscription.name
            if self._couriers.get(name) is portion.courier:
                self._had[name] = portion.through
                if portion in worth_writing:
                    self._written[name] = portion.through
        return bool(portions)

    async def _portion(self, courier: Courier) -> "_Portion":
        name = courier.subscription.name
        events, through = await self._log.after(self._had[name], courier.subscription.filter, FEED_EVENTS)
        # Where nothing matches nothing is written for a while: what was passed over is looked at again after
        # a restart.
        overdue = through - self._written[name] > UNWRITTEN_EVENTS
        return _Portion(courier, [Due(event.position, event.subject) for event in events], through, overdue)

    # --- telling that a subscription was disabled
    # ---------------------------------------------------------------

    async def _disabled(self, name: str) -> None:
        # The courier that calls is one of the tasks that `changed` ends: it must not wait for itself.
        self._soon(self.changed(name))
        self.announce_soon()

    def announce_soon(self) -> None:
        """Have `subscription.disabled` published for each subscription of which that was not told yet."""
        self._soon(self._announce())

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        if self._stopping:
            work.close()
            return
        task = asyncio.create_task(work)
        self._announcing.add(task)
        task.add_done_callback(self._announcing.discard)

    async def _announce(self) -> None:
        try:
            for subscription in await self._database.read(unannounced):
                await self._tell_disabled(subscription)
        except Exception as error:  # noqa: BLE001 - it is written down, and told when it can be
            get_logger().warning("subscription_disabled_not_told", exc_info=error)
            await asyncio.sleep(RETRY_SECONDS)
            self.announce_soon()

    async def _tell_disabled(self, subscription: Subscription) -> None:
        events = self._platform().events
        if events is None:
            return
        data = {
            "name": subscription.name,
            "owner": subscription.owner,
            "reason": subscription.disabled_reason,
        }
        key = f"disabled-{subscription.name}-{subscription.disabled_at or 0:.6f}"
        await events.publish("subscription.disabled", subscription.name, data, idempotency_key=key)
        await self._database.write(
            partial(note_announced, name=subscription.name, disabled_at=subscription.disabled_at)
        )
