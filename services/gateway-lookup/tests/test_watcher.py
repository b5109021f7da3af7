"""The gateway's own clock, with instances that are really there or really not."""

from collections.abc import Iterator

import pytest
from calling import Caller, Gateways
from edge import Stub
from fountain_common.testing import wait_until
from neighbourhood import OpenWorld


@pytest.fixture
def stubs() -> Iterator[list[Stub]]:
    started: list[Stub] = []
    yield started
    for stub in started:
        stub.stop()


def serving(stubs: list[Stub], name: str) -> Stub:
    stub = Stub(name).start()
    stub.answer = lambda seen: (200, {}, b'{"status": "healthy", "degraded": []}')
    stubs.append(stub)
    return stub


def test_an_instance_that_is_not_well_is_down_and_comes_back(gateways: Gateways, stubs: list[Stub]) -> None:
    gateways.settings(PROBE_SECONDS="0.1", LEASE_SECONDS="60")
    gateways.world = OpenWorld()
    client = gateways.start()
    stub = serving(stubs, "shop")
    shop = Caller(client, "shop", ("service",))
    shop.register("shop", stub.port)

    def status() -> str:
        return str(shop("GET", "/lookup/shop").json()["instances"][0]["status"])

    def shown() -> str:
        services = shop("GET", "/catalog").json()["services"]
        return next(one["status"] for one in services if one["service_name"] == "shop")

    wait_until(lambda: shown() == "healthy", "it is well")
    stub.answer = lambda seen: (503, {}, b'{"status": "unhealthy"}')
    wait_until(lambda: status() == "down" and shown() == "unhealthy", "it is down")
    stub.answer = lambda seen: (200, {}, b'{"degraded": ["notification"]}')
    wait_until(lambda: status() == "up" and shown() == "degraded", "it is back")
