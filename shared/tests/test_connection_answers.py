"""Whole answers that are sent in one step: on the wire nobody can tell them from others."""

import asyncio
import gc
import re
from typing import Any

import pytest
from fountain_common.app import Alone
from fountain_common.connection import ANSWER
from fountain_common.errors import Problem
from fountain_common.lean_server import RequestResponseCycle
from fountain_common.middleware import RequestLayer
from fountain_common.requests import Edge
from fountain_common.settings import ServiceSettings
from fountain_common.shortcuts import Answer, QuickRequest, Shortcut
from served import request, said, serving

LARGE = bytes(range(256)) * 4096
JSON = (b"content-type", b"application/json")
HUGE = LARGE * 16
ANSWERS = {
    "/plain": Answer(200, b'{"a": 1}', (JSON, (b"ETag", b'"\xe4 b"'), (b"x-tab", b"a\tb"))),
    "/empty": Answer(200, b""),
    "/same": Answer(304, b"", ((b"etag", b'"1"'),)),
    "/none": Answer(204, b""),
    "/large": Answer(200, LARGE, (JSON,)),
    "/huge": Answer(200, HUGE),
    "/closes": Answer(200, b"last", ((b"connection", b"close"),)),
    "/split": Answer(200, b"x", ((b"etag", b"a\r\nset-cookie: b=c"),)),
    "/feed": Answer(200, b"x", ((b"etag", b"a\nb"),)),
    "/name": Answer(200, b"x", ((b"e tag", b"a"),)),
}


async def answer(request: QuickRequest) -> Answer | None:
    if request.argument == "problem":
        raise Problem(429, "Not now.", headers={"Retry-After": "3"}, extra={"wait": 3})
    if request.argument == "body":
        return Answer(200, await request.body() or b"", (JSON,))
    return ANSWERS[f"/{request.argument}"]


class Service:
    """A layer behind a real server; without the one step, as if the server had none."""

    def __init__(self, settings: ServiceSettings, *, one_step: bool) -> None:
        shortcuts = [Shortcut(method, "/{name}", answer) for method in ("GET", "HEAD", "POST")]
        self._layer = RequestLayer(
            self._not_found,
            metrics=Alone(settings).metrics,
            edge=Edge("edge"),
            max_body_bytes=1000,
            shortcuts=shortcuts,
        )
        self._one_step = one_step
        self.steps: list[bool] = []

    async def _not_found(self, scope: Any, _receive: Any, _send: Any) -> None:
        raise LookupError(scope["path"])

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope["app"] = self
        step = scope["extensions"].pop(ANSWER)

        def one_step(*given: Any) -> bool:
            self.steps.append(step(*given))
            return self.steps[-1]

        if self._one_step:
            scope["extensions"][ANSWER] = one_step
        await self._layer(scope, receive, send)


LAST = request("/empty", "GET", "Connection: close")


@pytest.mark.parametrize(
    ("asked", "steps"),
    [
        ([request("/plain")], [True]),
        ([request("/empty")], [True]),
        ([request("/problem")], [True]),
        ([request("/missing/there")], [True]),
        ([request("/plain?access_token=x")], [True]),
        ([request("/body", "POST", body=b"{}")], [True]),
        ([request("/body", "POST", "Expect: 100-continue", body=b"{}")], [True]),
        ([request("/plain", "POST", "Expect: 100-continue", body=b"{}")], [True]),
        ([request("/same")], [False]),
        ([request("/none")], [False]),
        ([request("/plain", "HEAD")], [False]),
        ([request("/large")], [False]),
        ([request("/plain"), request("/large"), request("/empty")], [True, False, True]),
        ([request("/plain") + request("/problem") + request("/same")], [True, True, False]),
        ([request("/plain") * 3 + request("/missing/there") + request("/large")], [True] * 4 + [False]),
    ],
)
async def test_they_are_what_the_ordinary_way_says(
    settings: ServiceSettings, asked: list[bytes], steps: list[bool]
) -> None:
    quick, ordinary = Service(settings, one_step=True), Service(settings, one_step=False)
    found = await said(quick, *asked, LAST)
    assert found == await said(ordinary, *asked, LAST)
    assert quick.steps == [*steps, False]
    # As many answers as there were questions.
    assert len(re.findall(rb"HTTP/1\.1 [2-5]", found)) == len(steps) + 1


@pytest.mark.parametrize("asked", [request("/closes"), b"GET /plain HTTP/1.0\r\nX-Request-ID: r-1\r\n\r\n"])
async def test_one_that_closes_closes(settings: ServiceSettings, asked: bytes) -> None:
    quick, ordinary = Service(settings, one_step=True), Service(settings, one_step=False)
    found = await said(quick, asked)
    assert found == await said(ordinary, asked)
    assert b"connection: close" in found
    assert quick.steps == [False]


async def test_too_much_is_refused_and_the_connection_closed(settings: ServiceSettings) -> None:
    asked = request("/body", "POST", "Content-Length: 100000")
    quick, ordinary = Service(settings, one_step=True), Service(settings, one_step=False)
    found = await said(quick, asked)
    assert found == await said(ordinary, asked)
    assert found.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("path", ["/split", "/feed", "/name"])
async def test_no_header_becomes_two(settings: ServiceSettings, path: str) -> None:
    quick, ordinary = Service(settings, one_step=True), Service(settings, one_step=False)
    found = await said(quick, request(path))
    assert found == await said(ordinary, request(path))
    assert found == b""
    assert quick.steps == [False]


async def test_whoever_wants_to_see_what_is_sent_sees_it(settings: ServiceSettings) -> None:
    service = Service(settings, one_step=True)
    seen: list[str] = []

    async def around(scope: Any, receive: Any, send: Any) -> None:
        async def watched(message: Any) -> None:
            seen.append(message["type"])
            await send(message)

        await service(scope, receive, watched)

    assert (await said(around, request("/plain"), LAST)).startswith(b"HTTP/1.1 200 OK\r\n")
    assert service.steps == [False, False]
    assert seen == ["http.response.start", "http.response.body"] * 2


async def test_a_reader_that_takes_nothing_holds_back_what_is_written(settings: ServiceSettings) -> None:
    service = Service(settings, one_step=True)
    async with serving(service) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=1024)
        transport: Any = writer.transport
        transport.pause_reading()
        writer.write(request("/huge") + request("/plain") + LAST)
        while len(service.steps) < 2:
            await asyncio.sleep(0.01)
        # The second was declined, and waits until the first has been taken.
        assert service.steps == [False, False]
        transport.resume_reading()
        found = await reader.read(-1)
        writer.close()
    assert HUGE in found
    assert b'{"a": 1}' in found[-400:]


async def test_a_request_that_was_answered_leaves_nothing_to_look_for(settings: ServiceSettings) -> None:
    """What only the collector of circles could free would cost each request a tenth more."""

    def requests_left() -> int:
        return sum(type(one) is RequestResponseCycle for one in gc.get_objects())

    asked = request("/plain") + request("/large") + request("/problem")
    async with serving(Service(settings, one_step=True)) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                writer.write(asked)
                found = b""
                while found.count(b"HTTP/1.1 ") < 3 or not found.endswith(b"}"):
                    found += await reader.read(2**20)
            # The connection holds its newest.
            assert requests_left() <= 2
        finally:
            gc.enable()
        writer.close()
