"""The gateway's own clock, with instances that are really there or really not."""

from collections.abc import Iterator

import pytest
from calling import As, Gateways
from edge import Stub, free_port
from fountain_common.testing import wait_until
from neighbourhood import Ways


@pytest.fixture
def stubs() -> Iterator[list[Stub]]:
    started: list[Stub] = []
    yield started
    for stub in started:
        stub.stop()


@pytest.fixture
def as_(gateways: Gateways) -> As:
    from calling import Caller

    gateways.settings(PROBE_SECONDS="0.2", SWEEP_SECONDS="0.1", LEASE_SECONDS="1")
    client = gateways.start()
    client.app.state.platform.connections.transport = Ways(client.world)
    return lambda subject, *roles: Caller(client, subject, roles or ("service",))


def serving(stubs: list[Stub], name: str) -> Stub:
    stub = Stub(name).start()
    stub.answer = lambda seen: (200, {}, b'{"status": "healthy", "degraded": []}')
    stubs.append(stub)
    return stub


def test_mass_expiry_spares_those_that_answer_and_ends_the_others(as_: As, stubs: list[Stub]) -> None:
    alive = [serving(stubs, name) for name in ("one", "two")]
    for stub in alive:
        as_(stub.name).register(stub.name, stub.port)
    for name in ("three", "four"):
        as_(name).register(name, free_port())
    reader = as_("cart")
    wait_until(lambda: reader("GET", "/lookup/three").status_code == 404, "the silent ones expire")
    wait_until(lambda: reader("GET", "/lookup/four").status_code == 404, "the silent ones expire")
    # At the same moment those that answered were given one more lease.
    assert {reader("GET", f"/lookup/{stub.name}").status_code for stub in alive} == {200}


def test_an_instance_that_is_not_well_is_down_and_comes_back(gateways: Gateways, stubs: list[Stub]) -> None:
    from calling import Caller

    gateways.settings(PROBE_SECONDS="0.1", LEASE_SECONDS="60")
    client = gateways.start()
    client.app.state.platform.connections.transport = Ways(client.world)
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
