"""What somebody has to look at, as gauges: the alert rules in `observability/` watch them."""

from collections.abc import Awaitable, Callable

from fountain_common.db import Database
from fountain_common.errors import Unavailable
from prometheus_client import CollectorRegistry, Gauge

from secrets_manager import repository_rotations


class Alarms:
    """Sets the gauges when it looks.

    Args:
        writable: raises `Unavailable` while the audit cannot be written.
        verified: goes on verifying the audit; tells whether nothing is wrong, as far as is known.
    """

    def __init__(
        self,
        db: Database,
        *,
        writable: Callable[[], Awaitable[None]],
        verified: Callable[[], Awaitable[bool]],
        registry: CollectorRegistry,
    ) -> None:
        self._db, self._writable, self._verified = db, writable, verified
        self._overdue = Gauge(
            "fountain_rotations_overdue", "Rotations that wait beyond their deadline.", registry=registry
        )
        self._broken = Gauge(
            "fountain_audit_broken",
            "1 while the audit does not verify, or cannot be written.",
            registry=registry,
        )

    async def look(self) -> None:
        """Look at everything."""
        self._overdue.set(await self._db.read(repository_rotations.count_overdue))
        intact = await self._verified()
        self._broken.set(not (intact and await self._is_writable()))

    async def _is_writable(self) -> bool:
        try:
            await self._writable()
        except Unavailable:
            return False
        return True
