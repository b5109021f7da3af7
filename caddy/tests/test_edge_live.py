"""What the edge promises, seen from outside, on a real Caddy."""

import asyncio
import socket
import time
from collections.abc import Callable

import httpx2
import pytest
import websockets
from conftest import World
from edge import DOMAIN, free_port, until

SITES = {
    DOMAIN: "gateway",
    f"gateway-lookup.{DOMAIN}": "gateway",
    f"secrets-manager.{DOMAIN}": "secrets-manager",
    f"notification.{DOMAIN}": "notification",
    f"shop.{DOMAIN}": "shop",
}
SPELLINGS = [
    "/internal",
    "/internal/",
    "/internal/route?host=x",
    "/Internal/route",
    "/INTERNAL/",
    "//internal/route",
    "/%69nternal/route",
    "/internal%2froute",
    "/internal%2Froute",
    "/%2finternal/route",
    "/x/../internal/route",
    "/x/%2e%2e/internal/route",
    "/./internal/route",
    "/internal;x/route",
    "/internal;/route",
    "/;/internal/route",
    "/;x=y/internal",
    "/internal%3bx",
    "/%2569nternal/route",
    "/internal%00",
    "/internal.",
    "/\\internal",
    "/%5cinternal",
    "/internal/*",
    "/*/../internal/x",
    "/x/..;/internal/route",
    "/x/..;a=b/internal/route",
    "/x/%2e%2e;/internal/route",
    "/x/..%3b/internal/route",
    "/x/..%253b/internal/route",
    "/x/.%2e%3bv=1/internal",
    "/x/y/..;/..;/internal",
    "/x\\..;/internal",
    "/.;/internal",
]


@pytest.mark.parametrize(("host", "name"), SITES.items())
def test_every_name_has_a_certificate_and_its_service(world: World, host: str, name: str) -> None:
    answer = world.edge.get(host)
    assert answer.status_code == 200
    assert answer.headers["x-from"] == name


def test_the_redirect_to_https_names_the_port_that_clients_use(world: World) -> None:
    headers = {"Host": f"shop.{DOMAIN}:{world.edge.http_port}"}
    answer = httpx2.post(f"http://127.0.0.1:{world.edge.http_port}/a/b?c=d", headers=headers, trust_env=False)
    assert answer.status_code == 308
    assert answer.headers["location"] == f"https://shop.{DOMAIN}:{world.edge.https_port}/a/b?c=d"


@pytest.mark.parametrize("host", SITES)
@pytest.mark.parametrize("target", SPELLINGS)
def test_what_is_inside_alone_is_404_in_every_spelling(world: World, host: str, target: str) -> None:
    for spelled in (
        target,
        target.replace("internal", "metrics")
        .replace("Internal", "Metrics")
        .replace("%69nternal", "%6detrics"),
    ):
        answer = world.edge.get(host, spelled)
        assert answer.status_code in (400, 404), spelled
        assert "x-from" not in answer.headers, spelled
    own = [seen for stub in (world.secrets_manager, world.notification, world.shop) for seen in stub.seen]
    assert not own
    assert not [seen for seen in world.gateway.seen if "tls-ask" not in seen.path]


@pytest.mark.parametrize(
    "target", ["/internals", "/internal-tools/x", "/a/metrics", "/links/internal", "/a%2Fb"]
)
def test_paths_that_only_resemble_them_pass(world: World, target: str) -> None:
    assert world.edge.get(f"shop.{DOMAIN}", target).status_code == 200
    assert world.shop.seen[-1].path == target


def test_forwarding_headers_are_said_by_the_edge_alone(world: World) -> None:
    forged = {
        "X-Fountain-Edge": "0",
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "evil",
        "X-Real-IP": "203.0.113.9",
        "Forwarded": "for=203.0.113.9",
    }
    for host, stub in (
        (f"secrets-manager.{DOMAIN}", world.secrets_manager),
        (f"shop.{DOMAIN}", world.shop),
        (DOMAIN, world.gateway),
    ):
        world.edge.get(host, "/", headers=forged)
        headers = next(seen.headers for seen in stub.seen if "/internal/" not in seen.path)
        assert headers["x-fountain-edge"] == "1"
        assert headers["x-forwarded-for"] == "127.0.0.1"
        assert headers["x-forwarded-proto"] == "https"
        assert headers["x-forwarded-host"].startswith(host)
        assert not {"x-real-ip", "forwarded"} & headers.keys()


def test_the_question_to_the_gateway_carries_no_credentials_and_no_body(world: World) -> None:
    credentials = {
        "Authorization": "Bearer x",
        "X-API-Key": "fnt_x",
        "Cookie": "a=b",
        "X-Fountain-Lease": "l",
        "X-Fountain-Edge": "1",
    }
    answer = world.edge.request(
        "POST", f"shop.{DOMAIN}", "/orders", headers=credentials, content=b"hello" * 1000
    )
    assert answer.content == b"hello" * 1000
    [asked] = [seen for seen in world.gateway.seen if seen.path.startswith("/internal/route")]
    assert (asked.method, asked.body) == ("GET", b"")
    assert asked.path == f"/internal/route?host=shop.{DOMAIN}"
    assert (
        not {"authorization", "x-api-key", "cookie", "x-fountain-lease", "x-fountain-edge"}
        & asked.headers.keys()
    )
    [sent] = world.shop.seen
    assert (sent.method, sent.path, sent.headers["authorization"]) == ("POST", "/orders", "Bearer x")


@pytest.mark.parametrize("host", [f"shop.{DOMAIN}", f"notification.{DOMAIN}"])
def test_a_stream_arrives_while_it_is_being_written(world: World, host: str) -> None:
    stub = world.shop if host.startswith("shop") else world.notification
    stub.released.clear()
    headers = {"Host": f"{host}:{world.edge.https_port}"}
    with (
        httpx2.Client(verify=world.edge.context(), trust_env=False, timeout=10) as client,
        client.stream(
            "GET",
            f"https://127.0.0.1:{world.edge.https_port}/stream",
            headers=headers,
            extensions={"sni_hostname": host},
        ) as answer,
    ):
        pieces = answer.iter_bytes()
        assert next(pieces) == b"data: first\n\n"
        stub.released.set()
        assert b"".join(pieces) == b"data: second\n\n"


@pytest.mark.parametrize("host", [f"shop.{DOMAIN}", f"notification.{DOMAIN}"])
def test_a_stream_ends_at_the_service_when_its_reader_has_gone(world: World, host: str) -> None:
    stub = world.shop if host.startswith("shop") else world.notification
    stub.released.clear()
    stub.left.clear()
    headers = {"Host": f"{host}:{world.edge.https_port}"}
    with (
        httpx2.Client(verify=world.edge.context(), trust_env=False, timeout=10) as client,
        client.stream(
            "GET",
            f"https://127.0.0.1:{world.edge.https_port}/stream",
            headers=headers,
            extensions={"sni_hostname": host},
        ) as answer,
    ):
        pieces = answer.iter_bytes()
        assert next(pieces) == b"data: first\n\n"
        assert not stub.left.wait(0.3)
    until(stub.left.is_set, "the service has noticed", 5)


def test_a_websocket_reaches_a_service_that_nobody_configured(world: World) -> None:
    async def talk() -> str:
        host = f"shop.{DOMAIN}"
        uri = f"wss://{host}:{world.edge.https_port}/ws"
        async with websockets.connect(
            uri,
            ssl=world.edge.context(),
            server_hostname=host,
            host="127.0.0.1",
            port=world.edge.https_port,
            proxy=None,
        ) as socket_:
            await socket_.send("hello")
            return str(await socket_.recv())

    assert asyncio.run(talk()) == "echo hello"


def test_an_unknown_name_gets_the_gateways_own_page(world: World) -> None:
    answer = world.edge.get(f"nobody.{DOMAIN}")
    assert answer.status_code == 404
    assert "No service is reached here" in answer.text
    assert answer.headers["strict-transport-security"]


def test_a_name_that_the_gateway_refuses_gets_no_certificate(world: World) -> None:
    world.denied.add(f"denied.{DOMAIN}")
    with pytest.raises(httpx2.ConnectError):
        world.edge.get(f"denied.{DOMAIN}")


def test_a_redirect_in_the_place_of_a_word_gets_no_certificate(world: World) -> None:
    world.moved.add(f"moved.{DOMAIN}")
    with pytest.raises(httpx2.ConnectError):
        world.edge.get(f"moved.{DOMAIN}")
    assert [seen.path for seen in world.gateway.seen if "elsewhere" in seen.path] == []


def test_two_labels_below_the_domain_get_no_certificate(world: World) -> None:
    with pytest.raises(httpx2.ConnectError):
        world.edge.get(f"a.b.{DOMAIN}")


def test_a_body_over_one_megabyte_is_refused(world: World) -> None:
    answer = world.edge.request("POST", f"shop.{DOMAIN}", "/", content=b"x" * (1024 * 1024 + 1))
    assert answer.status_code == 413


@pytest.mark.parametrize("host", SITES)
def test_security_headers_are_on_every_site(world: World, host: str) -> None:
    headers = world.edge.get(host).headers
    assert headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert not {"server", "via"} & headers.keys()


def test_the_portal_alone_may_call_services_from_a_browser(world: World) -> None:
    portal = f"https://{DOMAIN}:{world.edge.https_port}"
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    preflight = world.edge.request(
        "OPTIONS", f"shop.{DOMAIN}", "/orders", headers={"Origin": portal, **asked}
    )
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == portal
    assert "Authorization" in preflight.headers["access-control-allow-headers"]
    assert (
        world.edge.get(f"shop.{DOMAIN}", headers={"Origin": portal}).headers["access-control-allow-origin"]
        == portal
    )
    for stranger in (
        "https://evil.example",
        f"https://shop.{DOMAIN}:{world.edge.https_port}",
        f"https://{DOMAIN}.evil.example",
        "null",
    ):
        answer = world.edge.get(f"shop.{DOMAIN}", headers={"Origin": stranger})
        assert "access-control-allow-origin" not in answer.headers
    assert "access-control-allow-credentials" not in preflight.headers


def test_the_log_keeps_no_credential(world: World) -> None:
    planted = {
        "Authorization": "Bearer canary-1",
        "X-API-Key": "canary-2",
        "Cookie": "s=canary-3",
        "X-Fountain-Lease": "canary-4",
        "Webhook-Signature": "v1,canary-5",
        "Referer": "https://x/?t=canary-6",
        "Proxy-Authorization": "Basic canary-7",
    }
    port = free_port()
    world.routes["gone"] = (port, port)
    for host in (f"shop.{DOMAIN}", f"secrets-manager.{DOMAIN}", f"gone.{DOMAIN}"):
        world.edge.get(host, "/links/canary-8?access_token=canary-9&q=canary-10", headers=planted)

    def logged() -> list[dict]:
        return [
            line for line in world.edge.access_log() if line["request"]["uri"] == "/links/REDACTED?REDACTED"
        ]

    until(lambda: len(logged()) >= 3, "it is logged")
    assert "canary" not in world.edge.log
    line = logged()[0]
    assert line["status"] == 200


def test_nothing_listens_for_administration(world: World) -> None:
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", 2019)) != 0


@pytest.mark.parametrize("host", [DOMAIN, f"shop.{DOMAIN}"])
def test_requests_are_held_while_the_gateway_restarts(world: World, host: str) -> None:
    world.edge.get(host)
    world.gateway.stop()
    held = _in_background(lambda: world.edge.get(host).status_code)
    time.sleep(0.5)  # the request has to find nobody there; there is nothing to poll for
    world.gateway.start()
    assert held() == 200


def test_without_the_gateway_a_restarted_edge_serves_the_named_sites_and_the_others_when_it_is_back(
    world: World,
) -> None:
    """Open streams do not keep it from stopping, either."""
    world.edge.get(f"shop.{DOMAIN}")
    world.notification.released.clear()
    world.notification.left.clear()
    headers = {"Host": f"notification.{DOMAIN}:{world.edge.https_port}"}
    url = f"https://127.0.0.1:{world.edge.https_port}/stream"
    with (
        httpx2.Client(verify=world.edge.context(), trust_env=False, timeout=20) as client,
        client.stream(
            "GET", url, headers=headers, extensions={"sni_hostname": f"notification.{DOMAIN}"}
        ) as answer,
    ):
        pieces = answer.iter_bytes()  # held: the stream ends with it
        assert next(pieces) == b"data: first\n\n"
        began = time.monotonic()
        assert not world.notification.left.is_set()
        world.edge.stop()
        assert time.monotonic() - began < 12
    world.notification.released.set()
    world.gateway.stop()
    world.edge.start()
    for name in ("secrets-manager", "notification"):
        until(lambda name=name: world.edge.get(f"{name}.{DOMAIN}").status_code == 200, f"{name} is served")  # type: ignore[misc]
    # Its certificate is stored, and still nobody gets it who was not asked about.
    with pytest.raises(httpx2.ConnectError):
        world.edge.get(f"shop.{DOMAIN}")
    world.gateway.start()
    until(lambda: world.edge.get(f"shop.{DOMAIN}").status_code == 200, "the others are served again")


def _in_background(call: Callable[[], int]) -> Callable[[], int]:
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(1)
    future = pool.submit(call)

    def wait() -> int:
        try:
            return future.result(20)
        finally:
            pool.shutdown()

    return wait
