"""What is inside alone stays there, and the edge alone says whence a request came."""

import pytest
from conftest import World
from edge import DOMAIN, SITES

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


def test_nothing_listens_for_administration(world: World) -> None:
    assert world.edge.listening() == {world.edge.http_port, world.edge.https_port, world.edge.health_port}
