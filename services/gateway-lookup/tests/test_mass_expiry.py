"""A thousand instances die at once and leave silence: all of them are gone in time. The clock is the loop's
own, which goes to the next moment as soon as nothing is left to do.
"""

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from fountain_common.db import Database
from gateway_lookup import fetch, files
from gateway_lookup.leases import LEASE_SECONDS, Claim, Lease
from gateway_lookup.observations import Observations
from gateway_lookup.service import Gateway
from gateway_lookup.settings import GatewaySettings
from gateway_lookup.watcher import Watcher

MIGRATIONS = Path(__file__).parent.parent / "gateway_lookup" / "migrations"
MANY = 1000
IN_TIME = 35.0


class _Leaping(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Waits for nothing but what is there already; how long it should have waited is time that has passed."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            return super().select(timeout)
        found = super().select(0)
        if not found:
            self.passed += max(0.0, timeout)
        return found


class LeapingLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes by what its tasks wait for, and by nothing else."""

    def __init__(self) -> None:
        self._leaping = _Leaping()
        super().__init__(self._leaping)

    def time(self) -> float:
        return self._leaping.passed


class SilentPlace:
    """Stands in for the fetcher: nobody answers within the time that one is given."""

    def __init__(self) -> None:
        self.now = self.most = 0

    async def answers(self, claim: Claim) -> bool:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(fetch.SECONDS)
        self.now -= 1
        return claim.service == "shop-0"


def run(work: Callable[[LeapingLoop], Awaitable[None]]) -> None:
    loop = LeapingLoop()
    try:
        loop.run_until_complete(work(loop))
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


@pytest.mark.parametrize("killed", [MANY, MANY // 3], ids=["all", "a third"])
def test_a_thousand_that_die_at_once_are_gone_in_time(tmp_path: Path, killed: int) -> None:
    place = SilentPlace()

    async def work(loop: LeapingLoop) -> None:
        db = Database(f"sqlite:///{tmp_path}/gateway.db")
        db.migrate(MIGRATIONS)
        gateway = Gateway(GatewaySettings(runtime="local", data_dir=tmp_path), db, loop.time)
        fetcher: Any = place
        watcher = Watcher(gateway, fetcher, Observations())
        for number in range(MANY):
            claim = Claim(
                f"shop-{number}", "a" * 32, f"shop-{number}", "10.0.0.7", 2000 + number, generation=1
            )
            gateway.registry.put(Lease(claim, b"", expires_at=loop.time() + LEASE_SECONDS))
        alive = {f"shop-{number}" for number in range(killed, MANY)}

        def renew() -> None:
            for number in range(killed, MANY):
                lease = gateway.registry.leases[f"shop-{number}", "a" * 32]
                gateway.registry.put(Lease(lease.claim, b"", expires_at=loop.time() + LEASE_SECONDS))

        def found() -> set[str]:
            return {lease.claim.service for lease in gateway.registry.leases.values() if not lease.expired}

        died = loop.time()
        # So few that no mistake of ours is likely are not asked.
        while found() != (alive or {"shop-0"}):
            assert loop.time() - died < IN_TIME
            await asyncio.sleep(gateway.settings.sweep_seconds)
            renew()
            await watcher.sweep()
        assert LEASE_SECONDS <= loop.time() - died <= IN_TIME
        await db.close()

    run(work)
    assert place.most <= files.many()
