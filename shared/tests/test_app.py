import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.testclient import TestClient
from fountain_common.app import Alone, create_service
from fountain_common.guard import UnguardedOperation
from fountain_common.schemas import StrictModel
from fountain_common.settings import ServiceSettings
from openapi_spec_validator import OpenAPIV30SpecValidator


class Order(StrictModel):
    item: str
    note: str | None = None


def _router() -> APIRouter:
    router = APIRouter(prefix="/orders", tags=["orders"])

    @router.post("", status_code=201, summary="Take an order")
    async def create_order(order: Order) -> Order:
        """Take an order and answer it."""
        return order

    @router.get("/{number}", summary="Show an order")
    async def get_order(number: int) -> dict[str, int]:
        """Return one order."""
        if number == 13:
            raise RuntimeError("marker in a message")
        return {"number": number}

    return router


def _make(settings: ServiceSettings, **options: Any) -> FastAPI:
    options = {
        "title": "Orders",
        "description": "Takes orders.",
        "version": "1.2.3",
        "routers": [_router()],
        "platform": Alone(settings),
        "public_paths": ["/orders", "/orders/{number}"],
        **options,
    }
    return create_service(settings, **options)


@pytest.fixture
def client(settings: ServiceSettings) -> TestClient:
    return TestClient(_make(settings))


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/health", "application/json"),
        ("/metrics", "text/plain"),
        ("/docs", "text/html; charset=utf-8"),
        ("/docs/assets/fountain.css", "text/css; charset=utf-8"),
        ("/docs/assets/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
        ("/openapi.json", "application/json"),
    ],
)
def test_every_service_shows_what_every_service_shows(client: TestClient, path: str, kind: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)
    assert len(answer.content) > 40


def test_the_description_is_valid_3_0_3(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    OpenAPIV30SpecValidator(document).validate()
    ids = {op["operationId"] for item in document["paths"].values() for op in item.values()}
    assert ids == {"getLandingPage", "getHealthStatus", "createOrder", "getOrder"}


def test_routes_that_are_added_later_are_described_too(settings: ServiceSettings) -> None:
    app = _make(settings)

    @app.get("/late", summary="Late")
    async def get_late_thing() -> None:
        """Come late."""

    assert "/late" in app.openapi()["paths"]


def test_a_request_id_is_returned_whatever_happens(client: TestClient) -> None:
    for path in ("/orders/1", "/orders/13", "/orders/x", "/nothing", "/?token=x"):
        answer = client.get(path, headers={"X-Request-ID": "my-request"})
        assert answer.headers.get_list("x-request-id") == ["my-request"], path
        if answer.status_code >= 400:
            assert answer.json()["request_id"] == "my-request"


def test_an_unhandled_error_says_nothing_and_is_logged_without_its_message(
    client: TestClient, log: Callable[[], list[dict[str, Any]]]
) -> None:
    answer = client.get("/orders/13")
    assert answer.status_code == 500
    assert "marker" not in answer.text
    lines = log()
    assert "marker" not in json.dumps(lines)
    error = next(line for line in lines if line["event"] == "unhandled_error")
    assert error["exception"][0]["type"] == "builtins.RuntimeError"
    assert error["request_id"] == answer.headers["x-request-id"]


def test_a_request_is_one_line_without_its_path_or_query(
    client: TestClient, log: Callable[[], list[dict[str, Any]]]
) -> None:
    client.get("/orders/4711?colour=red")
    (line,) = log()
    assert line["event"] == "request"
    assert (line["method"], line["route"], line["status"]) == ("GET", "/orders/{number}", 200)
    assert {
        "timestamp",
        "level",
        "service",
        "instance",
        "request_id",
        "trace_id",
        "duration_ms",
    } <= line.keys()
    assert "4711" not in json.dumps(line["route"])
    assert "red" not in json.dumps(line)


def test_a_field_that_is_not_known_is_a_422(client: TestClient) -> None:
    answer = client.post("/orders", json={"item": "a", "colour": "red"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == ["body", "colour"]


def test_an_operation_that_is_open_by_oversight_makes_no_service(settings: ServiceSettings) -> None:
    with pytest.raises(UnguardedOperation, match=r"GET /orders/\{number\}"):
        _make(settings, public_paths=["/orders"])


def test_one_that_is_added_later_stops_the_start(settings: ServiceSettings) -> None:
    app = _make(settings)
    app.add_api_route("/late", lambda: None)
    with pytest.raises(UnguardedOperation, match="GET /late"), TestClient(app):
        pass


def test_a_dependency_with_permissions_guards(settings: ServiceSettings) -> None:
    async def caller() -> str:
        return "somebody"

    caller.permissions = ("orders:read",)  # type: ignore[attr-defined]
    app = _make(settings)

    @app.get("/late")
    async def get_late(who: Annotated[str, Depends(caller)]) -> str:
        return who

    with TestClient(app) as client:
        assert client.get("/late").json() == "somebody"


class Recording(Alone):
    """Remembers the order of things."""

    def __init__(self, settings: ServiceSettings, happened: list[str]) -> None:
        super().__init__(settings)
        self.happened = happened

    async def start(self) -> None:
        self.happened.append("platform starts")

    async def announce(self) -> None:
        self.happened.append("announced")

    async def withdraw(self) -> None:
        self.happened.append("withdrawn")

    async def stop(self) -> None:
        self.happened.append("platform stops")


def test_a_service_is_known_only_while_it_can_do_its_job(settings: ServiceSettings) -> None:
    happened: list[str] = []

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        happened.append("service starts")
        yield
        happened.append("service ends")

    with TestClient(_make(settings, platform=Recording(settings, happened), lifespan=lifespan)):
        happened.append("serves")
    assert happened == [
        "platform starts",
        "service starts",
        "announced",
        "serves",
        "withdrawn",
        "service ends",
        "platform stops",
    ]


def test_a_service_that_fails_to_start_is_never_announced_and_leaves_nothing_behind(
    settings: ServiceSettings,
) -> None:
    happened: list[str] = []

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        raise OSError("no database")
        yield

    app = _make(settings, platform=Recording(settings, happened), lifespan=lifespan)
    with pytest.raises(OSError, match="no database"), TestClient(app):
        pass
    assert happened == ["platform starts", "platform stops"]


def test_two_services_in_one_process_share_nothing(settings: ServiceSettings) -> None:
    first, second = TestClient(_make(settings)), TestClient(_make(settings))
    first.get("/orders/1")
    assert "/orders/{number}" in first.get("/metrics").text
    assert "/orders/{number}" not in second.get("/metrics").text
