"""What the framework and the library add to a route is kept where an index finds it."""

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.testclient import TestClient
from fountain_common.app import Alone, create_service
from fountain_common.route_index import RouteIndex
from fountain_common.settings import ServiceSettings
from routed import add, application


def who() -> str:
    return "somebody"


Who = Annotated[str, Depends(who)]


def _guarded(happened: list[str]) -> APIRouter:
    router = APIRouter(prefix="/things", dependencies=[Depends(lambda: happened.append("router"))])

    @router.get("/{x}", tags=["own"])
    async def thing(x: int, name: Who, request: Request) -> list[Any]:
        return [x, name, request.scope["fastapi"]["effective_route_context"].tags]

    return router


@pytest.mark.parametrize("indexed", [True, False])
def test_what_an_inclusion_adds_is_kept(indexed: bool) -> None:
    happened: list[str] = []

    def build(app: FastAPI) -> None:
        dependencies = [Depends(lambda: happened.append("included"))]
        app.include_router(_guarded(happened), prefix="/v1", dependencies=dependencies, tags=["given"])
        app.include_router(_guarded(happened), prefix="/v2")

    client = TestClient(application(build, indexed=indexed))
    assert client.get("/v1/things/1").json() == [1, "somebody", ["given", "own"]]
    assert happened == ["included", "router"]
    assert client.get("/v2/things/2").json() == [2, "somebody", ["own"]]
    assert happened == ["included", "router", "router"]
    assert client.get("/v2/things/two").status_code == 422


@pytest.mark.parametrize("indexed", [True, False])
def test_dependencies_can_be_overridden_at_any_time(indexed: bool) -> None:
    app = application(lambda app: app.include_router(_guarded([])), indexed=indexed)
    client = TestClient(app)
    assert client.get("/things/1").json()[1] == "somebody"
    app.dependency_overrides[who] = lambda: "somebody else"
    assert client.get("/things/1").json()[1] == "somebody else"


@pytest.fixture
def service(settings: ServiceSettings) -> FastAPI:
    router = APIRouter(prefix="/orders")
    add(router, "order", "/{number}/lines/{line:int}")
    return create_service(
        settings,
        title="Orders",
        description="x",
        version="1",
        platform=Alone(settings),
        routers=[router],
        public_paths=["/orders/{number}/lines/{line:int}", "/direct/{x}"],
    )


@pytest.mark.parametrize("indexed", [True, False])
def test_requests_are_counted_and_logged_by_the_whole_template(
    service: FastAPI, log: Callable[[], list[dict[str, Any]]], indexed: bool
) -> None:
    service.indexed = indexed  # type: ignore[attr-defined]
    add(service, "direct", "/direct/{x}")
    client = TestClient(service)
    for path in ("/orders/7/lines/1", "/direct/1", "/orders/7/lines/x"):
        client.get(path)
    assert [line["route"] for line in log()] == ["/orders/{number}/lines/{line}", "/direct/{x}", "unmatched"]
    metrics = client.get("/metrics").text
    assert (
        'http_requests_total{method="GET",path="/orders/{number}/lines/{line}",status="200"} 1.0' in metrics
    )


def test_every_service_has_an_index_unless_spans_are_made(
    service: FastAPI, settings: ServiceSettings
) -> None:
    assert TestClient(service).get("/health").status_code == 200
    assert isinstance(service.router.middleware_stack, RouteIndex)
    settings.tracing = True
    traced = create_service(settings, title="x", description="x", version="1", platform=Alone(settings))
    assert TestClient(traced).get("/health").status_code == 200
    assert not isinstance(traced.router.middleware_stack, RouteIndex)
