"""What the edge does for everybody, and what services say about their own life."""

from urllib.parse import urlsplit

import httpx2
import pytest
from fountain_cli.stack import Ports
from polling import poll_until
from steward import CONSUMER, Steward

SERVICES = ("secrets-manager", "notification", "gateway-lookup", CONSUMER)


@pytest.mark.parametrize("service", ["", *SERVICES])
def test_http_is_sent_on_to_https(steward: Steward, ports: Ports, service: str) -> None:
    secure = urlsplit(steward.stack.url(service))
    with httpx2.Client() as client:
        answer = client.get(
            f"http://127.0.0.1:{ports.http}/health?a=b", headers={"Host": str(secure.hostname)}
        )
    assert answer.status_code in (301, 308)
    assert answer.headers["location"] == f"{secure.geturl()}/health?a=b"


def test_an_unknown_subdomain_gets_a_page_that_says_so(steward: Steward) -> None:
    answer = steward.at("no-such-service").get("/some/path", headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "no-such-service" in answer.text


def test_the_portal_names_every_service(steward: Steward) -> None:
    def named() -> bool:
        page = steward.at("").get("/")
        assert page.status_code == 200
        return all(service in page.text for service in SERVICES)

    poll_until(named, "the portal names every service")


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/metrics/",
        "/%6Detrics",
        "/metrics;a",
        "//metrics",
        "/./metrics",
        "/internal/route",
        "/internal/tls-ask",
    ],
)
def test_what_is_private_does_not_exist_at_the_edge(steward: Steward, service: str, path: str) -> None:
    answer = steward.ask("GET", service, f"{steward.stack.url(service)}{path}")
    assert answer.status_code == 404, answer.text
    assert "python_info" not in answer.text


def test_a_forged_edge_header_and_forwarded_address_are_not_believed(steward: Steward) -> None:
    forged = {"X-Fountain-Edge": "", "X-Forwarded-For": "192.0.2.1", "X-Forwarded-Host": "evil.example"}
    answer = steward.ask(
        "PUT",
        "gateway-lookup",
        f"/registry/{CONSUMER}/instances/{'0' * 32}",
        json={"port": 9, "version": "1", "generation": 1},
        headers=forged,
    )
    assert answer.status_code == 403, answer.text


def test_a_service_says_when_it_stops_and_when_it_starts(steward: Steward) -> None:
    position = max((event["position"] for event in steward.events()), default=0)
    steward.stack.halt(CONSUMER)
    steward.stack.resume(CONSUMER)
    steward.stack.wait_healthy(CONSUMER)
    wanted = {"service.stopping", "service.started"}

    def told() -> bool:
        ours = [
            event
            for event in steward.events()
            if event.get("subject") == CONSUMER and event["position"] > position
        ]
        assert {event["type"] for event in ours} >= wanted, ours
        assert {event["source"] for event in ours if event["type"] in wanted} == {CONSUMER}
        return True

    poll_until(told, "the consumers published that they stopped and started")
    poll_until(
        lambda: steward.ask("GET", CONSUMER, "/status").status_code == 200, "the edge finds them again"
    )
