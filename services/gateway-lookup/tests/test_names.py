"""A service's name is its own, whether it runs or not."""

import pytest
from calling import INSTANCE, As, Caller, Gateways
from fountain_common.testing import ServiceClient, wait_until


def place(client: ServiceClient, label: str = "shop") -> str | None:
    answer = client.get("/internal/route", params={"host": f"{label}.fountain.localhost"})
    return answer.headers.get("x-fountain-upstream")


def test_a_name_that_was_asked_for_before_its_owner_came_leads_to_nobody_when_he_leaves(
    as_: As, client: ServiceClient
) -> None:
    thief, shop = as_("thief"), as_("shop")
    renewal = thief.register("thief", 9000, hosts=["shop", "own"]).json()["lease_secret"]
    secret = shop.register("shop", 9001).json()["lease_secret"]
    assert place(client) == "127.0.0.1:9001"
    # He goes on running, without the name.
    thief.register("thief", 9000, secret=renewal, hosts=["shop", "own"])
    shop.leave("shop", INSTANCE, secret)
    assert place(client) is None
    thief.register("thief", 9000, secret=renewal, hosts=["shop", "own"])
    assert place(client) is None
    assert place(client, "own") == "127.0.0.1:9000"
    assert "shop" not in as_("cart")("GET", "/lookup/thief").json()["hosts"]


def test_a_name_whose_owner_has_expired_is_refused_to_another(gateways: Gateways) -> None:
    gateways.settings(LEASE_SECONDS="0.3")
    client = gateways.start()
    Caller(client, "shop", ("service",)).register("shop", 9001)
    wait_until(lambda: place(client) is None, "the lease expires")
    answer = Caller(client, "thief", ("service",)).try_to_register("thief", 9000, hosts=["shop"])
    assert answer.status_code == 409
    assert "DELETE /registry/shop" in answer.json()["detail"]


def test_a_name_is_its_owners_after_a_restart(gateways: Gateways) -> None:
    first = gateways.start()
    Caller(first, "thief", ("service",)).register("thief", 9000, hosts=["shop"])
    shop = Caller(first, "shop", ("service",))
    shop.leave("shop", INSTANCE, shop.register("shop", 9001).json()["lease_secret"])
    second = gateways.start()
    assert place(second) is None
    refused = Caller(second, "other", ("service",)).try_to_register("other", 9002, hosts=["shop"])
    assert refused.status_code == 409
    Caller(second, "shop", ("service",)).register("shop", 9001)


@pytest.mark.parametrize("removed", [False, True])
def test_the_name_of_a_static_entry_is_its_own(as_: As, client: ServiceClient, removed: bool) -> None:
    admin = as_("root", "admin")
    as_("thief").register("thief", 9000, hosts=["legacy"])
    entry = {"service_name": "legacy", "url": "http://10.0.0.5:7000"}
    assert admin("POST", "/registry", json=entry).status_code == 201
    if removed:
        assert admin("DELETE", "/registry/legacy").status_code == 204
    assert place(client, "legacy") == (None if removed else "10.0.0.5:7000")
    assert as_("other").try_to_register("other", 9001, hosts=["legacy"]).status_code == 409


def test_an_admin_frees_the_name_of_a_service_that_is_gone(gateways: Gateways) -> None:
    gateways.settings(LEASE_SECONDS="600")
    client = gateways.start()
    shop, heir = Caller(client, "shop", ("service",)), Caller(client, "heir", ("service",))
    admin = Caller(client, "root", ("admin",))
    secret = shop.register("shop", 9001).json()["lease_secret"]
    assert admin("DELETE", "/registry/shop").status_code == 404
    shop.leave("shop", INSTANCE, secret)
    assert heir("DELETE", "/registry/shop").status_code == 403
    assert admin("DELETE", "/registry/shop").status_code == 204
    assert admin("DELETE", "/registry/shop").status_code == 404
    heir.register("heir", 9000, hosts=["shop"])
    assert place(client) == "127.0.0.1:9000"


def test_an_entry_with_tls_is_found_by_lookup_and_not_served_by_the_edge(
    as_: As, client: ServiceClient
) -> None:
    entry = {"service_name": "old", "url": "https://old.example:8443"}
    assert as_("root", "admin")("POST", "/registry", json=entry).status_code == 201
    assert as_("cart")("GET", "/lookup/old").json()["url"] == "https://old.example:8443"
    assert client.get("/internal/route", params={"host": "old.fountain.localhost"}).status_code == 404
