"""What the edge does for everybody, and what services say about their own life."""

import contextlib
import http.client
import secrets
import socket
import ssl
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from fountain_cli.stack import Ports
from logged import logged
from polling import poll_until
from steward import CONSUMER, Steward
from test_impostor import consumers_key, consumers_token

FORGED = {
    "X-Fountain-Edge": "",
    "X-Fountain-Upstream": "127.0.0.1:2019",
    "X-Forwarded-For": "192.0.2.1",
    "X-Forwarded-Host": "gateway-lookup:8000",
    "X-Forwarded-Proto": "http",
    "X-Real-IP": "192.0.2.2",
    "Forwarded": "for=192.0.2.3;host=gateway-lookup:8000",
    "Via": "1.1 caddy",
}
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


def raw(steward: Steward, service: str, target: str, headers: dict[str, str]) -> tuple[int, bytes]:
    """Send a GET whose target goes out as it is written, and return the status and the body."""
    url = urlsplit(steward.stack.url(service))
    host, context = str(url.hostname), ssl.create_default_context(cafile=steward.stack.ca())
    plain = socket.create_connection(("127.0.0.1", url.port or 443), timeout=10)
    connection = http.client.HTTPConnection(host)
    connection.sock = context.wrap_socket(plain, server_hostname=host)
    with contextlib.closing(connection):
        connection.putrequest("GET", target, skip_host=True)
        for name, value in {"Host": url.netloc, **headers}.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_private_does_not_exist_at_the_edge_however_it_is_spelt(
    steward: Steward, service: str
) -> None:
    for word in ("internal/route?host=notification", "internal/tls-ask", "metrics"):
        first, rest = word[0], word[1:]
        for target in (
            f"/{word}",
            f"//{word}",
            f"/./{word}",
            f"/x/../{word}",
            f"/x/%2e%2e/{word}",
            f"/%{ord(first):x}{rest}",
            f"/%25{ord(first):x}{rest}",
            f"/%2f{word}",
            f"/{word}/",
            f"/{word};a",
            f"/;a/{word}",
            f"/{word.upper()}",
            f"/\\{word}",
        ):
            status, body = raw(steward, service, target, FORGED)
            assert status in (400, 404), target
            assert b"python_info" not in body


def test_whoever_comes_through_the_edge_is_not_from_inside_whatever_he_says(steward: Steward) -> None:
    for headers in ({}, FORGED):
        for service in ("secrets-manager", "notification"):
            status, _ = raw(steward, "gateway-lookup", f"/lookup/{service}", headers)
            assert status == 401
    answer = steward.ask(
        "PUT",
        "gateway-lookup",
        f"/registry/{CONSUMER}/instances/{'0' * 32}",
        json={"port": 9, "version": "1", "generation": 1},
        headers=FORGED,
    )
    assert answer.status_code == 403, answer.text


def test_the_key_of_a_service_gets_a_token_inside_and_none_through_the_edge(
    steward: Steward, stack: Any
) -> None:
    form = {"grant_type": "client_credentials", "client_secret": consumers_key(stack)}
    edge = "X-Fountain-Edge"
    for headers in (
        [],
        [*FORGED.items()],
        [(edge, "0")],
        [(edge, "false"), (edge, "")],
        [("Connection", edge)],
    ):
        answer = steward.at("secrets-manager").post("/auth/token", data=form, headers=headers)
        assert (answer.status_code, answer.json().get("error")) == (400, "unauthorized_client"), headers
    assert consumers_token(stack)


def test_the_audit_shows_the_address_that_the_edge_saw_and_not_the_one_that_was_claimed(
    steward: Steward,
) -> None:
    request_id = f"claimed-{secrets.token_hex(8)}"
    headers = {**FORGED, "X-Request-ID": request_id}
    assert steward.ask("GET", "secrets-manager", f"/secrets/{CONSUMER}", headers=headers).status_code == 200

    def recorded() -> dict[str, Any]:
        found = steward.manager("GET", "/audit", params={"target": f"secrets/{CONSUMER}"})["items"]
        return next(record for record in found if record["request_id"] == request_id)

    def seen_by_the_edge() -> str:
        lines = logged(steward.stack, "caddy")
        found = (
            str(line["request"]["remote_ip"])
            for line in lines
            if line.get("request", {}).get("headers", {}).get("X-Request-Id") == [request_id]
        )
        return next(found, "")

    record = recorded()
    assert record["through_edge"] is True
    assert record["client"] == poll_until(seen_by_the_edge, "the edge has logged it")
    assert record["client"] not in FORGED.values()


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
