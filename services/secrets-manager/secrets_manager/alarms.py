"""What somebody has to look at, as gauges: the alert rules in `observability/` watch them."""

from collections.abc import Awaitable, Callable
from typing import Final

from fountain_common.db import Database
from fountain_common.errors import Unavailable
from prometheus_client import CollectorRegistry, Gauge

from secrets_manager import repository_rotations

VERIFY_SECONDS: Final = 600.0
"""How often the whole audit is verified by itself: it reads every record, in a thread."""


class Alarms:
    """Sets the gauges when it looks.

    Args:
        writable: raises `Unavailable` while the audit cannot be written.
        verified: whether the whole audit verifies.
        monotonic: seconds.
    """

    def __init__(
        self,
        db: Database,
        *,
        writable: Callable[[], Awaitable[None]],
        verified: Callable[[], Awaitable[bool]],
        registry: CollectorRegistry,
        monotonic: Callable[[], float],
    ) -> None:
        self._db, self._writable, self._verified, self._monotonic = db, writable, verified, monotonic
        self._overdue = Gauge(
            "fountain_rotations_overdue", "Rotations that wait beyond their deadline.", registry=registry
        )
        self._broken = Gauge(
            "fountain_audit_broken",
            "1 while the audit does not verify, or cannot be written.",
            registry=registry,
        )
        self._intact = True
        self._verify_at = float("-inf")

    async def look(self) -> None:
        """Look at everything; the whole audit only now and then."""
        self._overdue.set(await self._db.read(repository_rotations.count_overdue))
        if self._monotonic() >= self._verify_at:
            self._intact = await self._verified()
            self._verify_at = self._monotonic() + VERIFY_SECONDS
        self._broken.set(not (self._intact and await self._is_writable()))

    async def _is_writable(self) -> bool:
        try:
            await self._writable()
        except Unavailable:
            return False
        return True
