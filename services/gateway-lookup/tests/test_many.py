"""Ten thousand instances: every answer is right, and none grows with those whom it is not about."""

import pytest
from calling import As, Gateways
from fountain_common.testing import ServiceClient
from gateway_lookup.catalog import MOST_DESCRIBED, MOST_SHOWN
from gateway_lookup.descriptions import Description
from gateway_lookup.leases import Claim, Lease
from gateway_lookup.registry import Registry

NAMES = [f"service-{number:04d}" for number in range(5000)]


@pytest.fixture
def client(gateways: Gateways) -> ServiceClient:
    gateways.settings(SWEEP_SECONDS="600", PROBE_SECONDS="600", DESCRIBE_SECONDS="600")
    client = gateways.start()
    assert client.portal is not None
    # In the loop whose the registry is.
    client.portal.call(fill, client.app.state.gateway.registry)  # type: ignore[attr-defined]
    return client


def fill(registry: Registry) -> None:
    for number, name in enumerate(NAMES):
        for port in (1, 2):
            place = f"10.0.{number // 250}.{number % 250}"
            claim = Claim(name, f"{number * 2 + port:032x}", name, place, 8000 + port, hosts=(f"h{number}",))
            registry.put(Lease(claim, b"", expires_at=float("inf")))


def test_each_is_found_by_its_name_and_by_its_subdomains(as_: As, client: ServiceClient) -> None:
    for number in (0, 2499, 4999):
        places = {f"10.0.{number // 250}.{number % 250}:{port}" for port in (8001, 8002)}
        found = as_("cart")("GET", f"/lookup/{NAMES[number]}").json()
        assert {one["url"] for one in found["instances"]} == {f"http://{place}" for place in places}
        for label in (NAMES[number], f"h{number}"):
            answer = client.get("/internal/route", params={"host": f"{label}.fountain.localhost"})
            assert {answer.headers["x-fountain-upstream"], answer.headers["x-fountain-upstream-2"]} == places


def test_the_registry_is_read_to_its_end_in_pages(as_: As) -> None:
    names, cursor = [], None
    while cursor is not None or not names:
        params = {"limit": 500} | ({} if cursor is None else {"cursor": cursor})
        page = as_("ops", "operator")("GET", "/registry", params=params).json()
        names += [item["service_name"] for item in page["items"]]
        cursor = page["next"]
    assert names == sorted({*NAMES, "gateway-lookup", "notification", "secrets-manager"})


def test_catalog_and_targets_name_all_and_the_portal_shows_the_platform_and_says_how_many_more(
    as_: As, client: ServiceClient
) -> None:
    assert len(as_("ops", "operator")("GET", "/catalog").json()["services"]) == len(NAMES) + 3
    targets = as_("prometheus")("GET", "/discovery/prometheus").json()
    assert sum(group["labels"]["service"] != "gateway-lookup" for group in targets) == 2 * len(NAMES)
    page = client.get("/").text
    assert page.count("data-service=") == MOST_SHOWN
    assert all(f'data-service="{name}"' in page for name in ("gateway-lookup", "secrets-manager"))
    assert f"And {len(NAMES) + 3 - MOST_SHOWN} more" in page


def test_the_page_of_operations_shows_so_many_and_says_how_many_more(client: ServiceClient) -> None:
    seen = client.app.state.catalogue.seen  # type: ignore[attr-defined]
    seen.openapi.update({name: Description(b"{}") for name in NAMES})
    answer = client.get("/apis")
    shown = answer.text.count("<option ")
    assert shown == MOST_DESCRIBED
    assert f"And {len(seen.openapi) - shown} more" in answer.text
    assert len(answer.headers["content-security-policy"]) < 16_000
