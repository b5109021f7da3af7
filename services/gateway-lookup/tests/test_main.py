"""The gateway, whole, at its own interface."""

import socket
from html import unescape

import orjson
import pytest
from calling import INSTANCE, OTHER, As, Caller, Gateways
from fountain_common.migrations import differences
from fountain_common.openapi import violations
from fountain_common.testing import ServiceClient, wait_until
from openapi_spec_validator import OpenAPIV30SpecValidator

EDGE = {"X-Fountain-Edge": "1"}


def test_the_first_answer_carries_the_lease_and_the_address_is_the_callers(as_: As) -> None:
    answer = as_("shop").register("shop", 9000, title="Shop")
    assert answer.status_code == 200
    body = answer.json()
    assert body["url"] == "http://127.0.0.1:9000"
    assert body["lease_seconds"] == 30
    assert body["renew_seconds"] == 10
    again = as_("shop").register("shop", 9000, secret=body["lease_secret"], title="Shop").json()
    assert "lease_secret" not in again


def test_a_lookup_answers_instances_and_revalidates_with_its_etag(as_: As) -> None:
    shop, reader = as_("shop"), as_("cart")
    lease = shop.register("shop", 9000).json()
    found = reader("GET", "/lookup/shop")
    assert found.json()["url"] == "http://127.0.0.1:9000"
    assert [(one["instance_id"], one["status"]) for one in found.json()["instances"]] == [(INSTANCE, "up")]
    etag = found.headers["etag"]
    unchanged = reader("GET", "/lookup/shop", headers={"If-None-Match": etag})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    shop.register("shop", 9000, secret=lease["lease_secret"])
    assert reader("GET", "/lookup/shop", headers={"If-None-Match": etag}).status_code == 304
    shop.register("shop", 9000, secret=lease["lease_secret"], status="draining")
    changed = reader("GET", "/lookup/shop", headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.json()["instances"][0]["status"] == "draining"


def test_an_unknown_name_is_404_with_names_that_look_like_it(as_: As) -> None:
    as_("example-consumer").register("example-consumer", 9000)
    answer = as_("cart")("GET", "/lookup/exmaple-consumer")
    assert answer.status_code == 404
    assert answer.json()["near"] == ["example-consumer"]
    assert "example-consumer" in answer.json()["detail"]


def test_the_secrets_manager_is_found_without_a_token_from_inside_alone(gateways: Gateways) -> None:
    gateways.settings(ISSUER_URL="https://secrets-manager:8000")
    client = gateways.start()
    assert client.get("/lookup/secrets-manager").json()["url"] == "https://secrets-manager:8000"
    assert client.get("/lookup/secrets_manager").status_code == 200
    assert client.get("/lookup/secrets-manager", headers=EDGE).status_code == 401
    assert client.get("/lookup/notification").status_code == 401


def test_the_pinned_address_stands_over_what_registers(gateways: Gateways) -> None:
    gateways.settings(ISSUER_URL="https://secrets-manager:8000")
    client = gateways.start()
    Caller(client, "secrets-manager", ("service",)).register("secrets-manager", 9001, scheme="https")
    found = client.get("/lookup/secrets-manager").json()
    assert (found["url"], found["source"], found["instances"]) == (
        "https://secrets-manager:8000",
        "pinned",
        [],
    )


def test_another_identity_cannot_register_a_name_renew_a_lease_or_end_it(as_: As) -> None:
    lease = as_("shop").register("shop", 9000).json()
    thief = as_("thief")
    assert thief.try_to_register("shop", 9001, OTHER).status_code == 403
    assert thief.try_to_register("shop", 9000, INSTANCE, lease["lease_secret"]).status_code == 403
    assert thief.leave("shop", INSTANCE, lease["lease_secret"]).status_code == 403
    assert as_("root", "admin").try_to_register("shop", 9001, OTHER).status_code == 403


def test_an_address_that_another_identity_leases_is_refused(as_: As) -> None:
    with socket.create_server(("127.0.0.1", 0)) as shop:
        port = shop.getsockname()[1]
        as_("shop").register("shop", port)
        answer = as_("thief").try_to_register("thief", port, generation=99)
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("port", [80, 443, 2019, 8080, 8443])
def test_the_edges_ports_are_refused(as_: As, port: int) -> None:
    assert as_("shop").try_to_register("shop", port).status_code == 403


def test_registration_through_the_edge_is_refused(as_: As) -> None:
    answer = as_("shop")("PUT", f"/registry/shop/instances/{INSTANCE}", json={"port": 9000}, headers=EDGE)
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "peer", ["169.254.169.254", "fe80::1", "::ffff:169.254.1.1", "0.0.0.0", "127.0.0.1", "::1"]
)
def test_in_containers_link_local_and_loopback_addresses_are_refused(gateways: Gateways, peer: str) -> None:
    gateways.settings(RUNTIME="docker")
    client = gateways.start(peer)
    assert Caller(client, "shop", ("service",)).try_to_register("shop", 8000).status_code == 403


def test_forwarding_headers_do_not_move_an_instance(gateways: Gateways) -> None:
    gateways.settings(RUNTIME="docker")
    client = gateways.start("10.1.2.3")
    shop = Caller(client, "shop", ("service",))
    forged = {"X-Forwarded-For": "10.9.9.9", "X-Real-IP": "10.9.9.9", "Host": "10.9.9.9"}
    answer = shop("PUT", f"/registry/shop/instances/{INSTANCE}", json={"port": 8000}, headers=forged)
    assert answer.json()["url"] == "http://10.1.2.3:8000"


def test_a_ghost_can_neither_overwrite_nor_end_its_successor(as_: As) -> None:
    shop = as_("shop")
    ghost = shop.register("shop", 9000, generation=1).json()["lease_secret"]
    successor = shop.register("shop", 9000, OTHER, generation=2)
    assert successor.status_code == 200
    assert shop.try_to_register("shop", 9000, INSTANCE, ghost, generation=1).status_code == 409
    assert shop.leave("shop", INSTANCE, ghost).status_code == 204
    [only] = as_("cart")("GET", "/lookup/shop").json()["instances"]
    assert only["instance_id"] == OTHER
    assert shop.leave("shop", OTHER, ghost).status_code == 403


def test_leases_and_their_secrets_survive_a_restart(gateways: Gateways) -> None:
    first = gateways.start()
    secret = Caller(first, "shop", ("service",)).register("shop", 9000).json()["lease_secret"]
    second = gateways.start()
    shop = Caller(second, "shop", ("service",))
    assert shop("GET", "/lookup/shop").json()["url"] == "http://127.0.0.1:9000"
    assert shop.try_to_register("shop", 9000, secret="guess").status_code == 403
    assert "lease_secret" not in shop.register("shop", 9000, secret=secret).json()
    assert shop.leave("shop", INSTANCE, secret).status_code == 204
    assert Caller(gateways.start(), "shop", ("service",))("GET", "/lookup/shop").status_code == 404


def test_a_lease_that_is_not_renewed_expires_and_is_published(gateways: Gateways) -> None:
    gateways.settings(LEASE_SECONDS="0.3")
    client = gateways.start()
    shop = Caller(client, "shop", ("service",))
    shop.register("shop", 9000)
    wait_until(lambda: shop("GET", "/lookup/shop").status_code == 404, "the lease expires")
    wait_until(
        lambda: _published(gateways, "shop") == ["service.registered", "service.expired"], "it is published"
    )


def test_leaving_is_published_and_repeated_without_harm(
    gateways: Gateways, client: ServiceClient, as_: As
) -> None:
    shop = as_("shop")
    secret = shop.register("shop", 9000).json()["lease_secret"]
    assert [shop.leave("shop", INSTANCE, secret).status_code for _ in range(2)] == [204, 204]
    wait_until(
        lambda: _published(gateways, "shop") == ["service.registered", "service.expired"], "it is published"
    )


def _published(gateways: Gateways, subject: str) -> list[str]:
    return [event["type"] for event in gateways.world.notification.log if event.get("subject") == subject]


def test_static_entries_are_an_admins_and_stand_over_leases(as_: As) -> None:
    admin = as_("root", "admin")
    as_("legacy").register("legacy", 9000)
    entry = {"service_name": "legacy", "url": "http://10.0.0.5:7000", "hosts": ["old"]}
    assert as_("shop")("POST", "/registry", json=entry).status_code == 403
    assert admin("POST", "/registry", json=entry).status_code == 201
    assert admin("POST", "/registry", json=entry).status_code == 409
    assert as_("shop")("GET", "/lookup/legacy").json()["url"] == "http://10.0.0.5:7000"
    changed = {"url": "http://10.0.0.6:7000"}
    assert admin("PUT", "/registry/legacy", json=changed).json()["static"]["url"] == "http://10.0.0.6:7000"
    assert admin("DELETE", "/registry/legacy").status_code == 204
    assert admin("DELETE", "/registry/legacy").status_code == 404
    assert as_("shop")("GET", "/lookup/legacy").json()["url"] == "http://127.0.0.1:9000"


@pytest.mark.parametrize("name", ["secrets-manager", "notification", "gateway-lookup", "secrets_manager"])
def test_a_name_of_the_platform_is_never_a_static_entry(as_: As, name: str) -> None:
    admin = as_("root", "admin")
    assert (
        admin("POST", "/registry", json={"service_name": name, "url": "http://10.0.0.5:1"}).status_code == 409
    )
    assert admin("PUT", f"/registry/{name}", json={"url": "http://10.0.0.5:1"}).status_code == 409


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x",
        "http://",
        "http://u:p@h",
        "http://h/path",
        "http://h?q=1",
        "http://169.254.169.254",
        "http://[fe80::1]:80",
        "http://127.0.0.1:2019",
        "http://127.1:80",
        "http://2130706433",
        "http://0x7f000001",
        "http://0x7f.1",
        "http://h:99999",
        "http://h:0",
        "http://a b",
        "http://h\n",
        "http://h\t:80",
        "http://exämple.com",
        "http://a..b",
        "http://-h",
        "http://h%6f",
        "http://{http.request.header.Authorization}",
        "http://" + "a" * 64,
        "http://h:80:90",
        "http://[::ffff:169.254.169.254]",
        "",
    ],
)
def test_a_static_url_that_is_no_service_is_refused(as_: As, url: str) -> None:
    answer = as_("root", "admin")("POST", "/registry", json={"service_name": "legacy", "url": url})
    assert answer.status_code in (403, 422)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("HTTP://Legacy.Example.COM:7000/", "http://legacy.example.com:7000"),
        ("http://legacy_1.:80", "http://legacy_1:80"),
        ("http://[2001:DB8:0::5]:80", "http://[2001:db8::5]:80"),
        ("http://xn--exmple-cua.com", "http://xn--exmple-cua.com"),
    ],
)
def test_a_static_url_is_kept_in_the_spelling_that_the_edge_reads(
    as_: As, client: ServiceClient, written: str, kept: str
) -> None:
    answer = as_("root", "admin")("PUT", "/registry/legacy", json={"url": written})
    assert answer.json()["static"]["url"] == kept
    told = client.get("/internal/route", params={"host": "legacy.fountain.localhost"})
    assert told.headers["x-fountain-upstream"] in (kept.removeprefix("http://"), kept[7:] + ":80")


def test_a_subdomain_that_is_somebody_elses_is_refused(as_: As) -> None:
    as_("two-factor").register("two-factor", 9000, hosts=["2fa"])
    assert as_("shop").try_to_register("shop", 9001, hosts=["2fa"]).status_code == 409
    assert as_("shop").try_to_register("shop", 9001, hosts=["two-factor"]).status_code == 409
    assert as_("shop").try_to_register("shop", 9001, hosts=["secrets-manager"]).status_code == 409
    assert as_("shop").try_to_register("shop", 9001, hosts=["a.b"]).status_code == 422


def test_the_registry_is_listed_by_name_in_pages(as_: As) -> None:
    for number, name in enumerate(("alpha", "beta", "gamma")):
        as_(name).register(name, 9000 + number)
    reader = as_("ops", "operator")
    names, cursor = [], None
    for _ in range(10):
        page = reader(
            "GET", "/registry", params={"limit": 2, **({"cursor": cursor} if cursor else {})}
        ).json()
        names += [item["service_name"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert names == sorted(names)
    assert {"alpha", "beta", "gamma", "gateway-lookup"} <= set(names)
    assert as_("shop")("GET", "/registry").status_code == 403
    assert reader("GET", "/registry/beta").json()["instances"][0]["identity"] == "beta"
    assert reader("GET", "/registry/nobody").status_code == 404


def test_prometheus_is_told_every_instance(as_: As, client: ServiceClient) -> None:
    as_("shop").register("shop", 9000)
    answer = as_("prometheus")("GET", "/discovery/prometheus")
    targets = {group["labels"]["service"]: group for group in answer.json()}
    assert targets["shop"]["targets"] == ["127.0.0.1:9000"]
    assert targets["shop"]["labels"]["__scheme__"] == "http"
    assert client.get("/discovery/prometheus").status_code == 401


def test_the_description_is_valid_and_complete(client: ServiceClient) -> None:
    document = client.get("/openapi.json").json()
    assert violations(document) == []
    OpenAPIV30SpecValidator(document).validate()
    operations = {item["operationId"] for path in document["paths"].values() for item in path.values()}
    assert operations >= {
        "lookupService",
        "listRegistry",
        "getRegistryEntry",
        "createRegistryEntry",
        "updateRegistryEntry",
        "deleteRegistryEntry",
        "registerInstance",
        "deregisterInstance",
        "listScrapeTargets",
        "getCatalog",
        "getLandingPage",
        "getApiPortal",
        "getHealthStatus",
    }


def test_the_migrations_make_what_the_models_say(client: ServiceClient) -> None:
    from gateway_lookup.models import Base

    database = client.app.state.gateway.db  # type: ignore[attr-defined]
    assert differences(database.engine, Base.metadata) == []


def test_the_gateway_serves_before_anybody_else_is_there(gateways: Gateways) -> None:
    gateways.world.secrets_manager.down = True
    gateways.world.notification.down = True
    client = gateways.start()
    health = client.get("/health")
    assert health.status_code == 200
    assert orjson.loads(health.content)["status"] == "healthy"
    assert client.get("/").status_code == 200


def test_the_portal_is_the_platforms_front_page_and_names_the_gateway(client: ServiceClient) -> None:
    page, info = unescape(client.get("/").text), client.get("/openapi.json").json()["info"]
    assert "<h1>FountainAI</h1>" in page
    assert "<title>FountainAI</title>" in page
    # It is the gateway's landing page too (design, section 3.1): title, version and description stand in it.
    assert f"by {info['title']} {info['version']}" in page
    assert info["description"] in page
    assert f'<a href="https://gateway-lookup.fountain.localhost:8443/">{info["title"]}</a>' in page
