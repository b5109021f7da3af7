"""Who comes is asked soon how he is, and thousands that come at once crowd nobody out."""

from pathlib import Path
from typing import Any

import pytest
from fountain_common.db import Database
from gateway_lookup.leases import Claim, Lease
from gateway_lookup.observations import Observations
from gateway_lookup.service import Gateway
from gateway_lookup.settings import GatewaySettings
from gateway_lookup.watcher import PROBES_PER_SECOND, Watcher


class Place:
    """Stands in for the fetcher: notes who was asked how he is; nobody answers."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def get(self, claim: Claim, path: str) -> None:
        if path == "/health":
            self.asked.append(claim.service)


@pytest.mark.anyio
async def test_of_thousands_that_come_at_once_some_are_asked_each_time_those_of_new_services_first(
    tmp_path: Path,
) -> None:
    db = Database(f"sqlite:///{tmp_path}/gateway.db")
    db.migrate(Path(__file__).parent.parent / "gateway_lookup" / "migrations")
    gateway = Gateway(GatewaySettings(runtime="local", data_dir=tmp_path), db, lambda: 0.0)
    place = Place()
    fetcher: Any = place
    watcher = Watcher(gateway, fetcher, Observations())

    def come(service: str, first: int, count: int) -> None:
        for number in range(first, first + count):
            claim = Claim(service, f"{number:032x}", service, "10.0.0.7", 2000 + number, generation=1)
            gateway.registry.put(Lease(claim, b"", expires_at=60.0))

    come("shop", 0, 3 * PROBES_PER_SECOND)
    await watcher.welcome()
    assert place.asked == ["shop"] * PROBES_PER_SECOND
    come("stories", 5000, 1)
    place.asked.clear()
    await watcher.welcome()
    assert place.asked == ["stories", *["shop"] * (PROBES_PER_SECOND - 1)]
    await db.close()
