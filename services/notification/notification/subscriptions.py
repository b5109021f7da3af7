"""What can be done with a subscription."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from fountain_common.db import Database
from fountain_common.errors import BadRequest, Conflict, Forbidden, NotFound, Unavailable, Unprocessable
from fountain_common.logging import get_logger
from fountain_common.sealing import SealBroken, Sealer
from fountain_common.tokens import Caller
from sqlalchemy.orm import Session

from notification import repository_deliveries as queue
from notification import repository_subscriptions as store
from notification.dispatcher import Dispatcher
from notification.log import EventLog
from notification.metrics import DeliveryMetrics
from notification.repository_replay import events_since, position_before
from notification.sender import Guard, NotSent
from notification.signing import OVERLAP_SECONDS, new_secret
from notification.ssrf import Refused
from notification.subscription import Options, Subscription, sealing_context

MAX_SUBSCRIPTIONS = 1000
SERVICE = "notification"
"""This one: at its `POST /notifications` events are published, not delivered."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller wants a subscription to be."""

    types: tuple[str, ...]
    service: str | None
    callback_url: str | None
    options: Options
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Put:
    """What came of it: the subscription, and its signing secret if it was made."""

    subscription: Subscription
    secret: str | None


class Subscriptions:
    """See the module.

    Args:
        database, log, dispatcher: of this service.
        guard: decides where webhooks may go.
        sealer: seals signing secrets.
        metrics: counts what was missed.
        clock: unix seconds.
    """

    def __init__(
        self,
        database: Database,
        log: EventLog,
        dispatcher: Dispatcher,
        guard: Guard,
        sealer: Sealer,
        metrics: DeliveryMetrics,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database, self._log, self._dispatcher = database, log, dispatcher
        self._guard, self._sealer, self._metrics, self._clock = guard, sealer, metrics, clock

    async def get(self, name: str) -> Subscription:
        """Return a subscription. Raises `NotFound`."""
        found = await self._database.read(lambda session: store.subscription_named(session, name))
        if found is None:
            raise NotFound(f"There is no subscription {name}.")
        return found

    async def page(self, behind: str, limit: int) -> list[Subscription]:
        """Return the next subscriptions by name."""
        return await self._database.read(lambda session: store.list_subscriptions(session, behind, limit))

    async def put(self, caller: Caller, name: str, wish: Wish) -> Put:
        """Make a subscription, or make it what the caller wishes.

        A new one is the caller's and gets what is published from now on; one that is there goes on where it
        was. An admin who changes another's leaves it to its owner, unless he gives it another receiver: that
        one must not get what only the owner may see, so it becomes the admin's.

        Raises:
            Unprocessable: the receiver may not be that; says why.
            Forbidden: it is another's.
            Conflict: there are too many.
        """
        if wish.service == SERVICE:
            raise Unprocessable(
                "The service notification cannot receive deliveries. Name another service, or read the "
                "events at GET /notifications/stream."
            )
        if wish.callback_url is not None:
            await self._require_allowed(wish.callback_url)
        secret = new_secret()
        sealed = self._seal(name, secret)
        now = self._clock()
        put, dropped = await self._database.write(partial(self._put, caller, name, wish, sealed, now))
        if dropped is not None:
            self._metrics.missed.inc(dropped)
            through = put.missed_through
            get_logger().warning(
                "subscription_missed_events", subscription=name, through=through, deliveries=dropped
            )
        await self._dispatcher.changed(name)
        made = put.secret == sealed
        return Put(put, secret if made else None)

    def _put(
        self, caller: Caller, name: str, wish: Wish, sealed: bytes, now: float, session: Session
    ) -> tuple[Subscription, int | None]:
        """Return what it is now and, if it has missed events, how many of them it had waited for."""
        before = store.subscription_named(session, name)
        if before is not None:
            _require_owner(caller, before)
            return self._change(before, caller, wish, now, session)
        if len(store.list_subscriptions(session, limit=MAX_SUBSCRIPTIONS)) >= MAX_SUBSCRIPTIONS:
            raise Conflict(f"There are {MAX_SUBSCRIPTIONS} subscriptions already; remove one first.")
        made = Subscription(
            name=name,
            owner=caller.subject,
            types=wish.types,
            service=wish.service,
            callback_url=wish.callback_url,
            options=wish.options,
            enabled=wish.enabled,
            disabled_reason=None if wish.enabled else "It was put disabled.",
            had=store.latest_position(session),
            missed_through=0,
            failing_since=None,
            secret=sealed,
            previous_secret=None,
            previous_until=None,
            created_at=now,
            updated_at=now,
        )
        store.add_subscription(session, made)
        return made, None

    def _change(
        self, before: Subscription, caller: Caller, wish: Wish, now: float, session: Session
    ) -> tuple[Subscription, int | None]:
        same_receiver = (wish.service, wish.callback_url) == (before.service, before.callback_url)
        changed = replace(
            before,
            owner=before.owner if same_receiver else caller.subject,
            types=wish.types,
            service=wish.service,
            callback_url=wish.callback_url,
            options=wish.options,
            enabled=wish.enabled,
            disabled_reason=None if wish.enabled else before.disabled_reason or "It was put disabled.",
            failing_since=None,
            updated_at=now,
        )
        dropped: list[int] = []
        if wish.enabled and not before.enabled:
            # While it was disabled nothing was kept for it: neither what waited nor what came.
            dropped = queue.drop_removed(session, before.name, now)
            gone = self._log.removed_through(changed.filter)
            through = max([gone if gone > before.had else 0, before.missed_through, *dropped])
            changed = replace(changed, missed_through=through)
        store.change_subscription(session, changed)
        return changed, len(dropped) if changed.missed_through > before.missed_through else None

    async def _require_allowed(self, url: str) -> None:
        try:
            await self._guard.find(url)
        except Refused as refused:
            raise Unprocessable(f"callback_url is refused: {refused}") from None
        except NotSent as reason:
            raise Unprocessable(f"callback_url cannot be used: {reason}") from None

    def _seal(self, name: str, secret: str) -> bytes:
        try:
            return self._sealer.seal(sealing_context(name), secret.encode())
        except SealBroken:
            raise Unavailable(
                "The DATA_KEY that encrypts signing secrets is not there yet. Try again later."
            ) from None

    async def delete(self, caller: Caller, name: str) -> None:
        """Remove a subscription with its deliveries. Raises `NotFound`, `Forbidden`."""
        _require_owner(caller, await self.get(name))
        await self._database.write(lambda session: store.remove_subscription(session, name))
        await self._dispatcher.changed(name)

    async def rotate_secret(self, caller: Caller, name: str) -> tuple[str, float]:
        """Make a new signing secret; return it, and until when the one before signs too.

        Raises:
            NotFound, Forbidden: as for `delete`.
        """
        _require_owner(caller, await self.get(name))
        secret, now = new_secret(), self._clock()
        sealed, until = self._seal(name, secret), now + OVERLAP_SECONDS
        await self._database.write(
            partial(store.replace_secret, name=name, sealed=sealed, until=until, now=now)
        )
        await self._dispatcher.changed(name)
        return secret, until

    async def replay(
        self,
        caller: Caller,
        name: str,
        *,
        after: int | None,
        since: float | None,
        missing: bool,
        dry_run: bool,
    ) -> int:
        """Have events delivered again, and return how many; with `dry_run` only that.

        Args:
            caller: the owner, or an admin.
            name: of the subscription.
            after: those behind this position.
            since: those stored at this moment or later, in unix seconds.
            missing: those that were given up.
            dry_run: change nothing.

        Raises:
            NotFound, Forbidden: as for `delete`.
            BadRequest: not exactly one of the three.
        """
        if (after is not None) + (since is not None) + missing != 1:
            raise BadRequest("Say which events, with exactly one of after, since and missing.")
        subscription = await self.get(name)
        _require_owner(caller, subscription)

        def collect(session: Session) -> list[queue.Due]:
            if missing:
                return queue.dead_letters(session, name)
            start = after if after is not None else position_before(session, since or 0.0)
            # What it has not had yet comes by itself.
            return events_since(session, start, subscription.filter, _had(session, name), self._log.types)

        due = await self._database.read(collect, long=True)
        if not dry_run:
            now = self._clock()
            for start in range(0, len(due), _PORTION):
                portion = due[start : start + _PORTION]
                await self._database.write(
                    partial(queue.enqueue, subscription=name, due=portion, now=now, again=True)
                )
            self._dispatcher.more(name)
        return len(due)

    async def redeliver(self, caller: Caller, delivery: int) -> str:
        """Have one delivery made again; return the name of its subscription.

        Raises:
            NotFound: there is no such delivery.
            Forbidden: its subscription is another's.
            Conflict: retention has removed its event.
        """
        found = await self._database.read(lambda session: queue.delivery_owner(session, delivery))
        if found is None:
            raise NotFound("There is no such delivery.")
        name, _ = found
        _require_owner(caller, await self.get(name))
        now = self._clock()
        if not await self._database.write(lambda session: queue.begin_anew(session, delivery, now)):
            raise Conflict("Its event has been removed; there is nothing to deliver.")
        self._dispatcher.more(name)
        return name

    async def reseal(self) -> int:
        """Seal all signing secrets with the active data key; answers how many were not.

        Those under a key that retired while the service was stopped are opened with it once more.
        """
        async with self._sealer.reaching_back(await self._database.read(store.sealed_secrets)):
            changed = await self._database.write(
                lambda session: store.reseal(session, self._sealer.current, self._seal_anew)
            )
        if changed:
            for subscription in await self._database.read(store.list_subscriptions):
                await self._dispatcher.changed(subscription.name)
        return changed

    def _seal_anew(self, name: str, sealed: bytes) -> bytes | None:
        context = sealing_context(name)
        try:
            return self._sealer.seal(context, self._sealer.open(context, sealed))
        except SealBroken:
            get_logger().error("signing_secret_does_not_open", subscription=name)
            return None


_PORTION = 500


def _had(session: Session, name: str) -> int:
    subscription = store.subscription_named(session, name)
    return subscription.had if subscription is not None else 0


def _require_owner(caller: Caller, subscription: Subscription) -> None:
    if caller.subject != subscription.owner and not caller.is_admin:
        raise Forbidden(
            "This subscription belongs to another identity. Only its owner and admins may change it."
        )
