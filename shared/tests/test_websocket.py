"""WebSockets of a service: who is let in, how others are refused, how each ends, and what is logged."""

import time
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import pytest
from fastapi import FastAPI, WebSocket
from fountain_common.app import create_service
from fountain_common.auth import Caller, requires
from fountain_common.errors import Forbidden, Unavailable
from fountain_common.guard import UnguardedOperation
from fountain_common.requests import current
from fountain_common.settings import ServiceSettings
from fountain_common.testing import ServiceClient, service_client
from fountain_common.websocket import SocketExchange
from starlette.testclient import WebSocketDenialResponse, WebSocketTestSession
from starlette.types import Message
from starlette.websockets import WebSocketDisconnect

FAILURES = {"forbidden": Forbidden("no"), "away": Unavailable("no"), "broken": RuntimeError("marker")}


@pytest.fixture
def app(settings: ServiceSettings) -> FastAPI:
    app = create_service(settings, title="Orders", description="x", version="1")

    @app.websocket("/echo")
    async def echo(socket: WebSocket, caller: Annotated[Caller, requires("orders:write")]) -> None:
        if socket.headers.get("x-break"):
            raise FAILURES[socket.headers["x-break"]]
        await socket.accept()
        while (text := await socket.receive_text()) not in FAILURES:
            context = current()
            assert context is not None
            await socket.send_text(f"{caller.subject} {text} {context.request_id}")
        raise FAILURES[text]

    return app


@pytest.fixture
def client(app: FastAPI) -> Iterator[ServiceClient]:
    with service_client(app, roles=None) as client:
        yield client


def open_as(client: ServiceClient, *roles: str, path: str = "/echo", **headers: str) -> Any:
    given = {**client.bearer("ann", roles), **headers} if roles else headers
    return client.websocket_connect(path, headers=given)


def test_a_caller_with_the_permission_is_let_in_and_its_request_id_is_known(client: ServiceClient) -> None:
    with open_as(client, "admin", **{"X-Request-ID": "abc-1"}) as socket:
        assert (b"x-request-id", b"abc-1") in socket.extra_headers
        socket.send_text("hello")
        assert socket.receive_text() == "ann hello abc-1"


@pytest.mark.parametrize(
    ("roles", "path", "status"),
    [((), "/echo", 401), (("viewer",), "/echo", 403), (("admin",), "/echo?token=a", 400)],
)
def test_others_are_refused_with_a_problem_before_the_socket_opens(
    client: ServiceClient, roles: tuple[str, ...], path: str, status: int
) -> None:
    with pytest.raises(WebSocketDenialResponse) as refused, open_as(client, *roles, path=path):
        pass
    assert refused.value.status_code == status
    assert refused.value.headers["content-type"] == "application/problem+json"
    assert refused.value.json()["request_id"] == refused.value.headers["x-request-id"]


def test_an_error_before_the_socket_opens_is_a_problem_too(client: ServiceClient) -> None:
    with pytest.raises(WebSocketDenialResponse) as refused, open_as(client, "admin", **{"X-Break": "broken"}):
        pass
    assert refused.value.status_code == 500
    assert "marker" not in refused.value.text


@pytest.mark.parametrize(("failure", "code"), [("forbidden", 1008), ("away", 1011), ("broken", 1011)])
def test_an_open_socket_ends_with_a_code_for_what_was_met(
    client: ServiceClient, failure: str, code: int
) -> None:
    with open_as(client, "admin") as socket:
        socket.send_text(failure)
        with pytest.raises(WebSocketDisconnect) as ended:
            socket.receive_text()
    assert ended.value.code == code


@pytest.mark.parametrize("what", [{"subject": "ann"}, {"key_id": "abcdef012345"}])
def test_a_socket_ends_when_its_caller_is_revoked(client: ServiceClient, what: dict[str, str]) -> None:
    given = client.bearer("ann", ("admin",), kid_api="abcdef012345")
    other = client.bearer("bob", ("admin",), kid_api="bcdef0123456")
    with (
        client.websocket_connect("/echo", headers=given) as socket,
        client.websocket_connect("/echo", headers=other) as untouched,
    ):
        socket.send_text("hello")
        socket.receive_text()
        client.world.secrets_manager.revoke(**what)
        with pytest.raises(WebSocketDisconnect) as ended:
            socket.receive_text()
        assert (ended.value.code, ended.value.reason) == (1008, "The token has been revoked.")
        untouched.send_text("still here")
        assert untouched.receive_text().startswith("bob still here")


def test_a_socket_whose_token_was_known_ends_with_its_caller_too(client: ServiceClient) -> None:
    given = client.bearer("ann", ("admin",))
    for _ in range(2):
        with client.websocket_connect("/echo", headers=given) as socket:
            socket.send_text("hello")
            socket.receive_text()
    with client.websocket_connect("/echo", headers=given) as socket:
        client.world.secrets_manager.revoke(subject="ann")
        with pytest.raises(WebSocketDisconnect) as ended:
            socket.receive_text()
    assert (ended.value.code, ended.value.reason) == (1008, "The token has been revoked.")


def test_a_socket_ends_with_the_token_that_opened_it(client: ServiceClient) -> None:
    given = client.bearer("ann", ("admin",), exp=time.time() + 0.3)

    def hear(socket: WebSocketTestSession) -> None:
        # The end may come before the answer does.
        while True:
            socket.receive_text()

    with client.websocket_connect("/echo", headers=given) as socket:
        socket.send_text("hello")
        with pytest.raises(WebSocketDisconnect) as ended:
            hear(socket)
    assert (ended.value.code, ended.value.reason) == (1008, "The token has expired.")


async def test_what_a_caller_says_after_its_socket_was_ended_is_not_heard() -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.receive", "text": "one more"}

    async def send(message: Message) -> None:
        sent.append(message)

    exchange = SocketExchange(receive, send, b"1", lambda _: None)
    await exchange({"type": "websocket.accept"})
    assert (await exchange.receive())["type"] == "websocket.receive"
    await exchange.end("enough")
    assert (await exchange.receive())["type"] == "websocket.disconnect"
    with pytest.raises(ConnectionAbortedError):
        await exchange({"type": "websocket.send", "text": "an answer"})
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.close"]


def test_a_socket_is_logged_and_counted_once_it_has_ended(
    client: ServiceClient, log: Callable[[], list[dict[str, Any]]]
) -> None:
    with open_as(client, "admin", **{"X-Request-ID": "abc-2"}) as socket:
        socket.send_text("hello")
        socket.receive_text()
    [line] = [line for line in log() if line.get("request_id") == "abc-2"]
    assert (line["event"], line["route"], line["status"]) == ("request", "/echo", 101)
    assert 'status="101"' in client.get("/metrics").text


def test_a_socket_that_says_nothing_of_who_may_open_it_is_not_made(settings: ServiceSettings) -> None:
    app = create_service(settings, title="Orders", description="x", version="1")

    @app.websocket("/open")
    async def anybody(socket: WebSocket) -> None:
        await socket.accept()

    with pytest.raises(UnguardedOperation, match="WEBSOCKET /open"), service_client(app):
        pass
