"""A thousand instances die at once and leave silence: all of them are gone in time. The clock is the loop's
own, which goes to the next moment as soon as nothing is left to do.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from fountain_common.db import Database
from fountain_common.fakes.leaping import LeapingLoop, run
from gateway_lookup import fetch, files
from gateway_lookup.leases import LEASE_SECONDS, Claim, Lease
from gateway_lookup.observations import Observations
from gateway_lookup.service import Gateway
from gateway_lookup.settings import GatewaySettings
from gateway_lookup.watcher import Watcher

MIGRATIONS = Path(__file__).parent.parent / "gateway_lookup" / "migrations"
MANY = 1000
IN_TIME = 35.0


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
