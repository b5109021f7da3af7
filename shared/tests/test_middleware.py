import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient
from fountain_common.app import Alone, create_service
from fountain_common.errors import CLIENT_CLOSED
from fountain_common.middleware import RequestLayer, route_template
from fountain_common.requests import current
from fountain_common.settings import ServiceSettings

LIMIT = 1000


@pytest.fixture
def app(settings: ServiceSettings) -> FastAPI:
    settings.max_body_bytes = LIMIT
    paths = ["/echo", "/read", "/ignore", "/broken", "/stream", "/context"]
    app = create_service(
        settings,
        title="Orders",
        description="x",
        version="1",
        platform=Alone(settings),
        public_paths=paths,
        stream_paths=["/stream"],
    )

    @app.post("/echo")
    async def echo(body: dict[str, Any]) -> dict[str, Any]:
        return body

    @app.post("/read")
    async def read(request: Request) -> int:
        return len(await request.body())

    @app.post("/ignore")
    async def ignore() -> str:
        return "not read"

    @app.get("/broken")
    async def broken() -> StreamingResponse:
        async def body() -> Any:
            yield b"part"
            raise RuntimeError("marker")

        return StreamingResponse(body())

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(iter([b"a", b"b"]))

    @app.get("/context")
    async def context() -> dict[str, Any]:
        found = current()
        assert found is not None
        return {"client": found.client, "edge": found.through_edge, "trace": found.trace_id}

    return app


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    return TestClient(app, client=("127.0.0.1", 5000))


def _chunks(size: int) -> Iterator[bytes]:
    yield b"{"
    for _ in range(size // 100):
        yield b" " * 100
    yield b"}"


@pytest.mark.parametrize("path", ["/echo", "/read", "/ignore"])
def test_a_body_that_announces_too_much_is_a_413_unread(client: TestClient, path: str) -> None:
    answer = client.post(
        path, content=b"{" + b" " * LIMIT + b"}", headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("path", ["/echo", "/read"])
def test_a_body_that_announces_nothing_is_a_413_too(client: TestClient, path: str) -> None:
    headers = {"Content-Type": "application/json"}
    assert client.post(path, content=_chunks(500), headers=headers).status_code == 200
    answer = client.post(path, content=_chunks(5 * LIMIT), headers=headers)
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_body_of_exactly_the_limit_passes(client: TestClient) -> None:
    assert client.post("/read", content=b"x" * LIMIT).json() == LIMIT


@pytest.mark.parametrize(
    "path", ["/?access_token=marker", "/health?api_key=marker", "/nothing?x=fnt_abcdefabcdef_marker"]
)
def test_a_credential_in_the_url_is_a_400_anywhere_and_never_logged(
    client: TestClient, log: Callable[[], list[dict[str, Any]]], path: str
) -> None:
    answer = client.get(path)
    assert answer.status_code == 400
    assert "header" in answer.json()["detail"]
    assert "marker" not in answer.text
    assert "marker" not in json.dumps(log())


def test_the_client_behind_the_edge_is_known(client: TestClient) -> None:
    headers = {"X-Forwarded-For": "203.0.113.9", "X-Fountain-Edge": "1"}
    found = client.get("/context", headers=headers).json()
    assert (found["client"], found["edge"]) == ("203.0.113.9", True)


def test_from_elsewhere_the_header_is_not_believed(app: FastAPI) -> None:
    outside = TestClient(app, client=("192.0.2.1", 5000))
    assert outside.get("/context", headers={"X-Forwarded-For": "127.0.0.1"}).json()["client"] == "192.0.2.1"


def test_a_trace_is_taken_up(client: TestClient) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    assert client.get("/context", headers=headers).json()["trace"] == trace


async def test_after_a_request_there_is_none(settings: ServiceSettings) -> None:
    seen: list[object] = []

    async def look(_scope: Any, _receive: Any, send: Any) -> None:
        seen.append(current())

    layer = RequestLayer(look, metrics=Alone(settings).metrics, edge=None, max_body_bytes=LIMIT)  # type: ignore[arg-type]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b"", "client": None}
    await layer(scope, None, None)  # type: ignore[arg-type]
    assert seen != [None]
    assert current() is None


def test_metrics_have_templates_and_never_paths(client: TestClient) -> None:
    for number in range(5):
        client.get(f"/nothing/{number}")
    client.get("/context")
    client.get("/stream")
    text = client.get("/metrics").text
    assert 'http_requests_total{method="GET",path="unmatched",status="404"} 5.0' in text
    assert "/nothing" not in text
    assert 'http_request_duration_seconds_count{method="GET",path="/context"} 1.0' in text
    assert 'http_requests_total{method="GET",path="/stream",status="200"} 1.0' in text
    assert 'http_request_duration_seconds_count{method="GET",path="/stream"}' not in text
    assert "http_requests_in_progress 1.0" in text


def test_health_and_metrics_are_quiet_while_they_are_well(
    client: TestClient, log: Callable[[], list[dict[str, Any]]]
) -> None:
    client.get("/health")
    client.get("/metrics")
    assert log() == []


def test_every_answer_forbids_guessing_its_type(client: TestClient) -> None:
    assert client.get("/health").headers["x-content-type-options"] == "nosniff"


async def test_a_caller_that_goes_away_is_counted_as_such(settings: ServiceSettings) -> None:
    waiting = asyncio.Event()

    async def endless(_scope: Any, _receive: Any, _send: Any) -> None:
        waiting.set()
        await asyncio.Event().wait()

    parts = Alone(settings)
    layer = RequestLayer(endless, metrics=parts.metrics, edge=None, max_body_bytes=LIMIT)  # type: ignore[arg-type]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b"", "client": None}
    task = asyncio.create_task(layer(scope, None, None))  # type: ignore[arg-type]
    await waiting.wait()
    assert parts.metrics.open == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert parts.metrics.open == 0
    counted = parts.metrics.registry.get_sample_value(
        "http_requests_total", {"method": "GET", "path": "unmatched", "status": str(CLIENT_CLOSED)}
    )
    assert counted == 1


async def test_a_caller_that_goes_away_while_it_sends_is_no_error_of_ours(
    app: FastAPI, log: Callable[[], list[dict[str, Any]]]
) -> None:
    part = {"type": "http.request", "body": b"part", "more_body": True}
    messages: Iterator[Any] = iter([part, {"type": "http.disconnect"}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/read", "raw_path": b"/read", "query_string": b"",
        "headers": [(b"content-length", b"100")], "client": ("127.0.0.1", 5000), "server": ("127.0.0.1", 80),
        "scheme": "http", "http_version": "1.1",
    }  # fmt: skip
    await app(scope, receive, send)
    # Its line is written with the others of the turn.
    await asyncio.sleep(0)
    assert [message["status"] for message in sent if "status" in message] == [CLIENT_CLOSED]
    assert [line["status"] for line in log() if line["event"] == "request"] == [CLIENT_CLOSED]
    assert [line["event"] for line in log() if line["level"] == "error"] == []


async def test_an_answer_that_breaks_half_way_does_not_look_complete(
    app: FastAPI, log: Callable[[], list[dict[str, Any]]]
) -> None:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0)
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    writer.write(b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = await reader.read()
    writer.close()
    server.should_exit = True
    await serving
    assert b"part" in answer
    assert not answer.endswith(b"0\r\n\r\n")
    assert "marker" not in json.dumps(log())
    assert any(line["event"] == "unhandled_error" for line in log())


def test_a_scope_without_a_route_is_unmatched() -> None:
    assert route_template({"type": "http"}) == "unmatched"
