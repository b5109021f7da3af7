"""The gateway's own clock, with instances that are really there or really not."""

import socket
from collections.abc import Iterator

import orjson
import pytest
from calling import Caller, Gateways
from edge import Stub
from fountain_common.ports import free_port
from fountain_common.testing import ServiceClient, wait_until
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


def test_an_address_at_which_another_service_answers_is_nobodys_until_that_one_has_registered(
    gateways: Gateways, stubs: list[Stub]
) -> None:
    gateways.settings(PROBE_SECONDS="0.1", LEASE_SECONDS="60")
    gateways.world = OpenWorld()
    client = gateways.start()
    stub = serving(stubs, "shop")
    shop, heir = Caller(client, "shop", ("service",)), Caller(client, "heir", ("service",))
    shop.register("shop", stub.port)
    body = {"port": stub.port, "version": "1", "generation": 1}
    claim = f"/registry/heir/instances/{'c' * 32}"
    assert heir("PUT", claim, json=body).status_code == 409, "who answers has not said that he is another"

    stub.answer = lambda seen: (200, {}, b'{"service": "heir", "status": "healthy"}')
    wait_until(lambda: heir("PUT", claim, json=body).status_code == 200, "the heir is let in")
    assert shop("GET", "/lookup/shop").status_code == 404
    wait_until(
        lambda: shop("GET", "/lookup/heir").json()["instances"][0]["status"] == "up", "the heir is found"
    )


HEIR = f"/registry/heir/instances/{'c' * 32}"


def leased(gateways: Gateways, stubs: list[Stub]) -> tuple[ServiceClient, Stub]:
    """Start a gateway at which a shop that really listens holds a long lease."""
    gateways.settings(LEASE_SECONDS="600")
    gateways.world = OpenWorld()
    client = gateways.start()
    stub = serving(stubs, "shop")
    Caller(client, "shop", ("service",)).register("shop", stub.port)
    return client, stub


def claimed(client: ServiceClient, port: int) -> int:
    """Return what becomes of another service's claim to this port."""
    body = {"port": port, "version": "1", "generation": 1}
    return Caller(client, "heir", ("service",))("PUT", HEIR, json=body).status_code


def test_an_address_where_nobody_listens_any_more_keeps_no_newcomer_out(
    gateways: Gateways, stubs: list[Stub]
) -> None:
    client, stub = leased(gateways, stubs)
    assert claimed(client, stub.port) == 409
    stub.stop()
    assert claimed(client, stub.port) == 200
    assert Caller(client, "shop", ("service",))("GET", "/lookup/shop").status_code == 404


def test_an_address_where_another_service_answers_now_is_its_own_at_once(
    gateways: Gateways, stubs: list[Stub]
) -> None:
    client, stub = leased(gateways, stubs)
    Caller(client, "heir", ("service",)).register("heir", free_port())
    stub.answer = lambda seen: (200, {}, b'{"service": "heir", "status": "healthy"}')
    assert claimed(client, stub.port) == 200


def test_who_only_does_not_answer_keeps_his_address(gateways: Gateways) -> None:
    gateways.settings(LEASE_SECONDS="600")
    gateways.world = OpenWorld()
    client = gateways.start()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        Caller(client, "shop", ("service",)).register("shop", port)
        assert claimed(client, port) == 409


def test_nothing_is_fetched_but_from_leased_addresses_and_a_canary_stays_silent(
    gateways: Gateways, stubs: list[Stub]
) -> None:
    often = {f"{what}_SECONDS": "0.05" for what in ("PROBE", "DESCRIBE", "SWEEP", "VIGIL")}
    gateways.settings(**often, LEASE_SECONDS="60")
    gateways.world = OpenWorld()
    client = gateways.start()
    canary, shop = serving(stubs, "canary"), serving(stubs, "shop")
    address = f"http://127.0.0.1:{canary.port}"
    admin = Caller(client, "root", ("admin",))
    # Known by an entry, named in a claim, in a header and in what a service says of itself, and never leased.
    entry = {"service_name": "legacy", "url": address}
    assert admin("POST", "/registry", json=entry).status_code == 201
    forged = {"Host": f"127.0.0.1:{canary.port}", "X-Forwarded-Host": f"127.0.0.1:{canary.port}"}
    claim = {"port": shop.port, "title": address, "description": address}
    path = f"/registry/shop/instances/{'a' * 32}"
    answer = Caller(client, "shop", ("service",))("PUT", path, json=claim, headers=forged)
    assert answer.status_code == 200
    said = {"degraded": [address], "openapi": "3.0.3", "paths": {}, "servers": [{"url": address}]}
    shop.answer = lambda seen: (200, {"Location": address, "Link": f"<{address}>"}, orjson.dumps(said))
    looked_at = {"/health", "/openapi.json"}
    wait_until(
        lambda: len(shop.seen) > 10 and {seen.path for seen in shop.seen} >= looked_at,
        "the gateway has looked often",
    )
    assert {seen.path for seen in shop.seen} == looked_at
    assert canary.seen == []


def test_in_containers_loopback_is_refused_and_a_canary_there_stays_silent(
    gateways: Gateways, stubs: list[Stub]
) -> None:
    gateways.settings(RUNTIME="docker", PROBE_SECONDS="0.05", VIGIL_SECONDS="0.05")
    gateways.world = OpenWorld()
    canary = serving(stubs, "canary")
    client = gateways.start("127.0.0.1")
    admin, shop = Caller(client, "root", ("admin",)), Caller(client, "shop", ("service",))
    assert shop.try_to_register("shop", canary.port).status_code == 403
    loopback = ("127.0.0.1", "localhost", "localhost.", "any.localhost", "127.1", "[::1]")
    for host in (*loopback, "caddy", "caddy.", "169.254.169.254", "169.254.169.254."):
        entry = {"service_name": "legacy", "url": f"http://{host}:{canary.port}"}
        assert admin("POST", "/registry", json=entry).status_code == 403, host
    assert canary.seen == []
