"""A head that waits for its body: what leaves is what an application said, or a problem in its place."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import FileResponse, Response, StreamingResponse
from fastapi.sse import EventSourceResponse
from fountain_common.app import Alone, create_service
from fountain_common.connection import ANSWER
from fountain_common.errors import Conflict
from fountain_common.settings import ServiceSettings
from served import request, said, serving

LAST = request("/health", "GET", "Connection: close")
LARGE = b"0123456789" * 20_000


def head(length: int | None = None, *headers: tuple[bytes, bytes], status: int = 200) -> dict[str, Any]:
    lengths = [] if length is None else [(b"content-length", b"%d" % length)]
    return {"type": "http.response.start", "status": status, "headers": [*lengths, *headers]}


def part(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


SAYINGS: dict[str, list[Any]] = {
    "whole": [head(5), part(b"whole")],
    "empty": [head(0), part(b"")],
    "without-a-body-in-its-message": [head(0), {"type": "http.response.body"}],
    "parts": [head(5), part(b"who", more=True), part(b"le")],
    "ended-by-nothing": [head(5), part(b"whole", more=True), part(b"")],
    "begun-by-nothing": [head(5), part(b"", more=True), part(b"whole")],
    "short": [head(6), part(b"short")],
    "long": [head(3), part(b"long")],
    "short-in-parts": [head(6), part(b"sho", more=True), part(b"rt")],
    "never": [head(5)],
    "never-and-empty": [head(0)],
    "half": [head(5), part(b"ha", more=True)],
    "twice": [head(5), head(5), part(b"twice")],
    "twice-and-empty": [head(0), head(0), part(b"")],
    "differently": [head(5), head(), part(b"twice")],
    "none": [head(status=204), part(b"")],
    "same": [head(5, status=304), part(b"")],
    "upper-case": [head(None, (b"Content-Length", b"5")), part(b"upper")],
    "two-other-lengths": [head(4, (b"content-length", b"5")), part(b"same")],
    "padded-length": [head(None, (b"content-length", b"04")), part(b"four")],
    "in-chunks": [head(None, (b"transfer-encoding", b"chunked")), part(b"a", more=True), part(b"b")],
    "without-a-length": [head(), part(b"whole")],
    "closes": [head(4, (b"connection", b"close")), part(b"last")],
    "split": [head(1, (b"etag", b"a\r\nset-cookie: b=c")), part(b"x")],
    "named-oddly": [head(1, (b"e tag", b"a")), part(b"x")],
    "large": [head(len(LARGE)), part(LARGE)],
    "raises-half-way": [head(5), part(b"ha", more=True), RuntimeError("marker")],
    "raises-behind": [head(5), part(b"whole"), RuntimeError("marker")],
}
TWO_LENGTHS = [head(4, (b"content-length", b"4")), part(b"same")]
"""Which are one length, and leave as one."""
FAILING: dict[str, list[Any]] = {
    "raises": [head(5), RuntimeError("marker")],
    "raises-a-problem": [head(5), Conflict("marker")],
    "raises-at-once": [RuntimeError("marker")],
}


class Says(Response):
    """A response that sends these messages, and raises what is to be raised."""

    def __init__(self, messages: list[Any]) -> None:
        super().__init__()
        self._messages = messages

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        for message in self._messages:
            if isinstance(message, Exception):
                raise message
            await send({**message})


@pytest.fixture
def app(settings: ServiceSettings, tmp_path: Path) -> FastAPI:
    (tmp_path / "file").write_bytes(b"kept")
    (tmp_path / "large").write_bytes(LARGE)
    paths = ["/said/{name}", "/files/{name}", "/stream", "/events"]
    app = create_service(
        settings, title="x", description="x", version="1", platform=Alone(settings), public_paths=paths
    )
    app.state.may_go_on = asyncio.Event()

    @app.api_route("/said/{name}", methods=["GET", "HEAD"])
    async def say(name: str) -> Response:
        return Says({**SAYINGS, **FAILING, "two-lengths": TWO_LENGTHS}[name])

    @app.api_route("/files/{name}", methods=["GET", "HEAD"])
    async def show(name: str) -> Response:
        # One that is gone was there when it was looked for.
        there = (tmp_path / "file").stat() if name == "gone" else None
        return FileResponse(tmp_path / name, stat_result=there)

    async def slowly() -> Any:
        await app.state.may_go_on.wait()
        yield b"first"
        yield b"second"

    @app.get("/stream")
    async def stream(length: str = "") -> Response:
        return StreamingResponse(slowly(), headers={"content-length": length} if length else {})

    @app.get("/events", response_class=EventSourceResponse)
    async def events() -> Any:
        await app.state.may_go_on.wait()
        yield {"a": 1}

    return app


class WithoutOneStep:
    """The same, behind a server that has no such step."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        del scope["extensions"][ANSWER]
        await self._app(scope, receive, send)


def counted(app: FastAPI, path: str = "/said/{name}", method: str = "GET") -> dict[str, float]:
    """How often each status was counted."""
    return {
        sample.labels["status"]: sample.value
        for metric in app.state.platform.metrics.registry.collect()
        for sample in metric.samples
        if sample.name == "http_requests_total"
        and (sample.labels["path"], sample.labels["method"]) == (path, method)
    }


def plain(found: bytes) -> bytes:
    """What was said, without the order of the headers and the report of health at its end."""

    def ordered(match: re.Match[bytes]) -> bytes:
        return b"\r\n".join(sorted(match[0].split(b"\r\n")))

    return re.sub(rb"HTTP/1\.1 .*?\r\n\r\n", ordered, found, flags=re.DOTALL).partition(b'{"status":')[0]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("name", SAYINGS)
async def test_what_leaves_is_what_leaves_without_waiting(
    app: FastAPI, log: Callable[[], list[dict[str, Any]]], name: str, method: str
) -> None:
    asked = request(f"/said/{name}", method)
    found = await said(app, asked, LAST)
    status = counted(app, method=method)
    assert plain(found) == plain(await said(WithoutOneStep(app), asked, LAST))
    # The same status was counted by either, and the same errors were logged.
    assert [value * 2 for value in status.values()] == list(counted(app, method=method).values())
    events = [line["event"] for line in log() if line["event"] in {"request", "unhandled_error"}]
    half = len(events) // 2
    assert sorted(events[:half]) == sorted(events[half:])
    assert b"marker" not in found


@pytest.mark.parametrize("name", ["whole", "empty", "two-lengths"])
async def test_a_whole_answer_leaves_in_one_step(app: FastAPI, name: str) -> None:
    steps: list[bool] = []

    async def noted(scope: Any, receive: Any, send: Any) -> None:
        step = scope["extensions"][ANSWER]
        scope["extensions"][ANSWER] = lambda *given: steps.append(step(*given)) or steps[-1]
        await app(scope, receive, send)

    found = await said(noted, request(f"/said/{name}"), LAST)
    assert steps == [True, False]
    assert found.count(b"content-length: ") == 2
    assert found.count(b"x-request-id: r-1\r\n") == 2


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("name", FAILING)
async def test_an_error_before_the_body_is_a_problem_in_the_place_of_the_head(
    app: FastAPI, log: Callable[[], list[dict[str, Any]]], name: str, method: str
) -> None:
    found = await said(app, request(f"/said/{name}", method), LAST)
    answer, rest = found[: found.index(b"HTTP/1.1 200 ")], found[found.index(b"HTTP/1.1 200 ") :]
    assert answer.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert answer.count(b"HTTP/1.1 ") == rest.count(b"HTTP/1.1 ") == 1
    assert answer.count(b"x-request-id: r-1\r\n") == 1
    _, _, body = answer.partition(b"\r\n\r\n")
    if method == "GET":
        assert json.loads(body)["request_id"] == "r-1"
    else:
        assert body == b""
    assert counted(app, method=method) == {"500": 1}
    lines = log()
    assert next(line["status"] for line in lines if line["event"] == "request") == 500
    assert "unhandled_error" in [line["event"] for line in lines]
    assert "marker" not in found.decode() + json.dumps(lines)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("name", ["file", "large"])
async def test_a_file_is_sent_as_it_is(app: FastAPI, name: str, method: str) -> None:
    asked = request(f"/files/{name}", method)
    found = await said(app, asked, LAST)
    assert plain(found) == plain(await said(WithoutOneStep(app), asked, LAST))
    content = b"kept" if name == "file" else LARGE
    assert (b"\r\n\r\n" + content + b"HTTP/1.1 200 " in found) == (method == "GET")


async def test_a_file_that_has_gone_meanwhile_is_a_problem(app: FastAPI) -> None:
    found = await said(app, request("/files/gone"), LAST)
    assert found.startswith(b"HTTP/1.1 500 ")
    assert found.count(b"HTTP/1.1 ") == 2
    assert counted(app, "/files/{name}") == {"500": 1}


@pytest.mark.parametrize("path", ["/stream", "/events"])
async def test_a_stream_shows_itself_before_its_first_part(app: FastAPI, path: str) -> None:
    async with serving(app) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(request(path, "GET", "Connection: close"))
        shown = await reader.readuntil(b"\r\n\r\n")
        assert shown.startswith(b"HTTP/1.1 200 ")
        assert not app.state.may_go_on.is_set()
        app.state.may_go_on.set()
        assert (b"second" if path == "/stream" else b'data: {"a": 1}') in await reader.read(-1)
        writer.close()


async def test_a_stream_with_a_length_is_whole(app: FastAPI) -> None:
    app.state.may_go_on.set()
    found = await said(app, request("/stream?length=11"), LAST)
    assert b"content-length: 11\r\n" in found
    assert b"\r\n\r\nfirstsecondHTTP/1.1 200 " in found


async def test_a_caller_that_leaves_before_the_body_is_no_error_of_ours(
    app: FastAPI, log: Callable[[], list[dict[str, Any]]]
) -> None:
    def lines() -> Iterator[dict[str, Any]]:
        return (line for line in log() if line.get("route") == "/stream")

    async with serving(app) as served:
        _, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(request("/stream?length=11"))
        async with asyncio.timeout(10):
            while not app.state.platform.metrics.open:
                await asyncio.sleep(0.005)
            writer.transport.abort()
            while app.state.platform.metrics.open:
                await asyncio.sleep(0.005)
        while not list(lines()):
            await asyncio.sleep(0.005)
    assert [line["event"] for line in lines()] == ["request"]
