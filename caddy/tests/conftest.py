"""One edge for all tests, with stubs of the platform's services and of one that nobody configured."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from edge import DOMAIN, Edge, Seen, Stub, make_authority


@dataclass
class World:
    """An edge and what is behind it."""

    edge: Edge
    gateway: Stub
    secrets_manager: Stub
    notification: Stub
    shop: Stub
    routes: dict[str, tuple[int, ...]]
    denied: set[str]
    moved: set[str]

    def answer_as_gateway(self, seen: Seen) -> tuple[int, dict[str, str], bytes]:
        parts = urlsplit(seen.path)
        query = parse_qs(parts.query)
        if parts.path == "/internal/tls-ask" and query["domain"][0] in self.moved:
            return 302, {"Location": "/internal/tls-ask?domain=elsewhere"}, b""
        if parts.path == "/internal/tls-ask":
            return (403 if query["domain"][0] in self.denied else 200), {}, b""
        if parts.path != "/internal/route":
            return 200, {"X-From": "gateway"}, b"portal"
        found = self.routes.get(query["host"][0].split(":")[0].partition(".")[0])
        if found is None:
            return (
                404,
                {"Content-Type": "text/html", "X-From": "gateway"},
                b"<h1>No service is reached here</h1>",
            )
        names = ("", "-2", "-3", "-4")
        upstreams = {
            f"X-Fountain-Upstream{name}": f"127.0.0.1:{port}"
            for name, port in zip(names, itertools.cycle(found), strict=False)
        }
        return 200, upstreams, b""


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    trust: Path = tmp_path_factory.mktemp("trust")
    tls = make_authority(trust)
    stubs = [Stub("gateway"), Stub("secrets-manager", tls=tls), Stub("notification"), Stub("shop")]
    gateway, secrets_manager, notification, shop = stubs
    edge = Edge(
        tmp_path_factory.mktemp("edge"),
        environment={
            "FOUNTAIN_DOMAIN": DOMAIN,
            "FOUNTAIN_TRUST_DIR": str(trust),
            "FOUNTAIN_GATEWAY_LOOKUP_UPSTREAM": f"127.0.0.1:{gateway.port}",
            "FOUNTAIN_SECRETS_MANAGER_UPSTREAM": f"127.0.0.1:{secrets_manager.port}",
            "FOUNTAIN_NOTIFICATION_UPSTREAM": f"127.0.0.1:{notification.port}",
        },
    )
    world = World(edge, *stubs, routes={"shop": (shop.port,)}, denied=set(), moved=set())
    gateway.answer = world.answer_as_gateway
    for stub in (secrets_manager, notification, shop):
        stub.answer = lambda seen, name=stub.name: (200, {"X-From": name}, seen.body or name.encode())
    for stub in stubs:
        stub.start()
    edge.start()
    edge.await_sites()
    try:
        yield world
    finally:
        edge.stop()
        for stub in stubs:
            stub.released.set()
            stub.stop()


@pytest.fixture(autouse=True)
def fresh(world: World) -> None:
    """Forget what the test before sent."""
    for stub in (world.gateway, world.secrets_manager, world.notification, world.shop):
        stub.seen.clear()
