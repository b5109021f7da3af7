"""The worker that takes rotations on when time does: deadlines, overlaps, holders that are gone, scheduled
rotations.

What to do is decided by the rules over what is stored, each step in one transaction: a worker that is
killed anywhere is followed by one that goes on from there.
"""

import asyncio
import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from fountain_common.logging import get_logger
from sqlalchemy.orm import Session

from secrets_manager import idempotency, service_holders, transitions
from secrets_manager import repository_rotations as rotations
from secrets_manager.changes import Changes
from secrets_manager.holders import HolderKey, Presence
from secrets_manager.service_policies import PoliciesService

LONGEST_PAUSE_SECONDS: Final = 1.0
_SHORTEST_PAUSE_SECONDS: Final = 0.01
_AFTER_FAILURE_SECONDS: Final = 2.0
_PRUNE_SECONDS: Final = 3600.0
_ADOPTION_SECONDS: Final = 30.0
_JUMP_SECONDS: Final = 60.0


@dataclass
class Driver:
    """Wakes when something is due, and at least once a second for holders that are gone.

    `clock` is one that nobody sets; schedules are kept by the wall clock, which the policies have.
    """

    changes: Changes
    presence: Presence
    policies: PoliciesService
    clock: Callable[[], float]
    _task: asyncio.Task[None] | None = None
    _next_prune: float = 0.0
    _next_adoption: float = math.inf
    _ahead: float | None = None
    _last_look: float = field(default_factory=time.monotonic)
    _doubtful: set[HolderKey] = field(default_factory=set)
    _unknown: set[HolderKey] = field(default_factory=set)

    async def start(self) -> None:
        """Take over what an earlier process left, give every holder a full time to live, and begin."""

        def read(session: Session) -> tuple[list[HolderKey], list[str]]:
            holders = [HolderKey(*key) for key in rotations.all_holders(session)]
            return holders, rotations.services_with_open(session)

        holders, services = await self.changes.read(read)
        self.presence.add(holders)
        for service_name in services:
            self.changes.postpone(service_name, self.clock())
        self._last_look = time.monotonic()
        self._next_adoption = self.clock() + _ADOPTION_SECONDS
        self._task = asyncio.create_task(self._run(), name="rotation-driver")

    async def stop(self) -> None:
        """End; what is due waits for the next start."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def is_running(self) -> bool:
        """Whether the worker is alive; a health check."""
        return self._task is not None and not self._task.done()

    async def _run(self) -> None:
        while True:
            try:
                await self.look()
                pause = self._pause()
            except asyncio.CancelledError:
                raise
            except Exception as failure:  # noqa: BLE001 - whatever it was, what is due is still in the database
                get_logger().error("rotation_driver_failed", exc_info=failure)
                pause = _AFTER_FAILURE_SECONDS
            await self.changes.woken(pause)

    async def look(self) -> None:
        """Do everything that is due now."""
        self._forgive_own_absence()
        await self._settle_doubts()
        for service_name in {*self.changes.due(self.clock()), *self.presence.expired()}:
            try:
                await self._advance(service_name)
            except Exception as failure:  # noqa: BLE001 - whatever keeps one secret back, the others go on
                get_logger().error("rotation_failed", secret_of=service_name, exc_info=failure)
        if self._wall_clock_was_set():
            await self.policies.mend()
        if self.policies.next_look <= self.policies.clock():
            await self.policies.rotate_due()
        if self._next_adoption <= self.clock():
            self._next_adoption = self.clock() + _ADOPTION_SECONDS
            await self._adopt()
        if self._next_prune <= self.clock():
            await self.changes.prune(idempotency.prune, self.clock())
            self._next_prune = self.clock() + _PRUNE_SECONDS

    async def _advance(self, service_name: str) -> None:
        gone: list[HolderKey] = []

        def run(session: Session) -> None:
            gone.extend(self.presence.take_expired(service_name))
            now = self.clock()
            service_holders.remove(session, gone, now)
            transitions.progress(session, service_name, now)

        try:
            await self.changes.commit(service_name, run)
        except Exception:
            self._doubtful.update(gone)
            self.changes.postpone(service_name, self.clock() + _AFTER_FAILURE_SECONDS)
            raise
        for key in gone:
            get_logger().info(
                "holder_expired", secret_of=key.service_name, identity=key.identity, holder=key.instance_id
            )

    async def _settle_doubts(self) -> None:
        """Count those again whose removal failed, if they are still in the database.

        They must not be forgotten there; nor be counted here alone, if what failed was only the answer.
        """
        if self._doubtful:
            stored = await self.changes.read(lambda session: set(rotations.all_holders(session)))
            self.presence.add([key for key in self._doubtful if key in stored])
            self._doubtful.clear()

    async def _adopt(self) -> None:
        """Count whoever is in the database and not in memory: nobody else would ever see it expire.

        At the second look, so that none is just being added, and then in the writer's turn, so that no
        removal is half done. Nothing is known to leave such a holder behind.
        """

        def look(session: Session) -> set[HolderKey]:
            return self.presence.unknown(map(HolderKey._make, rotations.all_holders(session)))

        unknown = await self.changes.read(look, long=True)
        again, self._unknown = unknown & self._unknown, unknown
        if not again:
            return

        def run(session: Session) -> set[HolderKey]:
            adopted = look(session) & again
            self.presence.add(adopted)
            return adopted

        for key in await self.changes.write(run):
            get_logger().warning(
                "holder_adopted", secret_of=key.service_name, identity=key.identity, holder=key.instance_id
            )

    def _forgive_own_absence(self) -> None:
        """Renew everybody if this process did not run for a while: they could not be heard."""
        now = time.monotonic()
        if now - self._last_look > self.presence.ttl / 3:
            self.presence.renew_all()
        self._last_look = now

    def _wall_clock_was_set(self) -> bool:
        """Whether it has jumped since the last look; at the first one nobody knows, so that it may have."""
        before, self._ahead = self._ahead, self.policies.clock() - self.clock()
        return before is None or abs(self._ahead - before) > _JUMP_SECONDS

    def _pause(self) -> float:
        now = self.clock()
        left = min(self.changes.next_due() - now, self.policies.next_look - self.policies.clock())
        return min(LONGEST_PAUSE_SECONDS, max(_SHORTEST_PAUSE_SECONDS, left))
