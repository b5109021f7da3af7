"""What the edge asks, and what it is told."""

import pytest
from calling import OTHER, As, Caller, Gateways
from fountain_common.testing import ServiceClient


def told(client: ServiceClient, host: str = "shop.fountain.localhost") -> list[str]:
    answer = client.get("/internal/route", params={"host": host})
    assert answer.status_code == 200
    return [answer.headers[f"x-fountain-upstream{suffix}"] for suffix in ("", "-2", "-3", "-4")]


def test_the_edge_is_told_four_upstreams_which_take_turns(as_: As, client: ServiceClient) -> None:
    places = [f"127.0.0.1:{port}" for port in range(9000, 9006)]
    for number in range(6):
        as_("shop").register("shop", 9000 + number, f"{number:032x}", hosts=["store"])
    answers = [told(client, "shop.fountain.localhost:8443") for _ in range(6)]
    assert {answer[0] for answer in answers} == set(places)
    assert all(len(set(answer)) == 4 for answer in answers)
    assert set(told(client, "store.fountain.localhost")) <= set(places)


def test_fewer_instances_than_four_repeat(as_: As, client: ServiceClient) -> None:
    shop = as_("shop")
    shop.register("shop", 9000)
    assert told(client) == ["127.0.0.1:9000"] * 4
    shop.register("shop", 9001, OTHER)
    assert sorted(told(client)) == ["127.0.0.1:9000"] * 2 + ["127.0.0.1:9001"] * 2


def test_the_edge_is_sent_to_one_that_drains_only_when_none_is_up(as_: As, client: ServiceClient) -> None:
    shop = as_("shop")
    shop.register("shop", 9000, status="draining")
    assert set(told(client)) == {"127.0.0.1:9000"}
    shop.register("shop", 9001, OTHER)
    assert set(told(client)) == {"127.0.0.1:9001"}


@pytest.mark.parametrize(
    "host", ["nobody.fountain.localhost", "shop.evil.example", "a.shop.fountain.localhost", "shop", ""]
)
def test_names_that_lead_nowhere_get_the_gateways_404_page(as_: As, client: ServiceClient, host: str) -> None:
    as_("shop").register("shop", 9000)
    page = client.get("/internal/route", params={"host": host}, headers={"Accept": "text/html"})
    assert page.status_code == 404
    assert "No service is reached here" in page.text
    assert (
        client.get("/internal/route", params={"host": host}).headers["content-type"]
        == "application/problem+json"
    )


def test_a_program_is_told_what_it_asked_for_and_not_what_the_edge_asked(
    as_: As, client: ServiceClient
) -> None:
    as_("shop").register("shop", 9000)
    asked = {"params": {"host": "shopp.fountain.localhost"}, "headers": {"X-Request-ID": "abc"}}
    answer = client.get("/internal/route", **asked)
    problem = answer.json()
    assert (answer.status_code, answer.headers["x-request-id"]) == (404, "abc")
    assert "internal" not in answer.text
    assert problem.pop("detail") == "No service has this name now. Check the address, or start the service."
    assert problem == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "instance": "/",
        "request_id": "abc",
        "near": ["shop"],
    }


def test_nobody_but_the_edge_is_answered_under_internal(gateways: Gateways) -> None:
    gateways.settings(RUNTIME="docker", EDGE_HOST="edge.invalid")
    client = gateways.start("10.0.0.9")
    assert (
        client.get("/internal/route", params={"host": "gateway-lookup.fountain.localhost"}).status_code == 404
    )
    assert client.get("/internal/tls-ask", params={"domain": "x.fountain.localhost"}).status_code == 404


@pytest.mark.parametrize(
    ("domain", "status"),
    [
        ("x.fountain.localhost", 200),
        ("X.Fountain.Localhost", 200),
        ("a.b.fountain.localhost", 403),
        ("fountain.localhost", 403),
        ("x.example.com", 403),
        (".fountain.localhost", 403),
        ("*.fountain.localhost", 403),
    ],
)
def test_the_local_authority_signs_for_any_single_label(
    client: ServiceClient, domain: str, status: int
) -> None:
    assert client.get("/internal/tls-ask", params={"domain": domain}).status_code == status


def test_a_public_authority_is_asked_for_leased_names_alone_and_for_so_many_a_week(
    gateways: Gateways,
) -> None:
    gateways.settings(TLS="acme", ACME_NAMES_PER_WEEK="2")
    client = gateways.start()
    for number, name in enumerate(("one", "two", "three")):
        Caller(client, name, ("service",)).register(name, 9000 + number)

    def ask(label: str) -> int:
        return client.get("/internal/tls-ask", params={"domain": f"{label}.fountain.localhost"}).status_code

    assert ask("nobody") == 403
    assert [ask("one"), ask("two"), ask("three"), ask("one")] == [200, 200, 403, 200]


def test_one_service_cannot_use_up_the_certificates_of_all(gateways: Gateways) -> None:
    gateways.settings(TLS="acme", ACME_NAMES_PER_WEEK="20", ACME_NAMES_PER_SERVICE="2")
    client = gateways.start()
    greedy = Caller(client, "greedy", ("service",))
    secret, answers = None, []
    for number in range(4):
        lease = greedy.register("greedy", 9000, secret=secret, hosts=[f"extra-{number}"]).json()
        secret = lease.get("lease_secret", secret)
        domain = f"extra-{number}.fountain.localhost"
        answers.append(client.get("/internal/tls-ask", params={"domain": domain}).status_code)
    assert answers == [200, 200, 403, 403]
    Caller(client, "shop", ("service",)).register("shop", 9001)
    assert client.get("/internal/tls-ask", params={"domain": "shop.fountain.localhost"}).status_code == 200
