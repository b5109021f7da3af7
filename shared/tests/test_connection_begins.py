"""Requests that lie one behind the other: the first begins at once, and each is answered in its turn."""

import asyncio
import re
import ssl
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import uvloop
from entrypoint_secrets_manager import certificate
from fountain_common import connection
from fountain_common.connection import ABORT, ANSWER, BreakableProtocol
from served import request, said, serving
from uvicorn.server import ServerState

at_once = pytest.mark.skipif(not connection._EAGER, reason="a request begins in the next turn here")
CLOSE = ("GET", "Connection: close")


class Counting:
    """Answers each path with itself, and says what has been begun and answered, and when.

    `/slow` waits until it may go on, `/turns` for some turns of the event loop, and `/read` for its body.
    """

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.answered: list[str] = []
        self.left: list[str] = []
        self.may_go_on = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        self.begun.append(path)
        if path.startswith("/slow"):
            await self.may_go_on.wait()
        elif path.startswith("/turns"):
            for _ in range(10):
                await asyncio.sleep(0)
        elif path.startswith("/read"):
            while (await receive()).get("more_body"):
                pass
        elif path.startswith("/left"):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while (await receive())["type"] != "http.disconnect":
                pass
            self.left.append(path)
            return
        elif path.startswith("/abort"):
            scope["extensions"][ABORT]()
            return
        self.answered.append(path)
        refused = path.startswith("/refuse")
        headers = [(b"connection", b"close")] if refused else []
        if scope["extensions"][ANSWER](send, 413 if refused else 200, headers, path.encode()):
            return
        headers.append((b"content-length", b"%d" % len(path)))
        await send({"type": "http.response.start", "status": 413 if refused else 200, "headers": headers})
        await send({"type": "http.response.body", "body": path.encode()})


def bodies(found: bytes) -> list[str]:
    return [body.decode() for body in re.findall(rb"\r\n\r\n(/[a-z0-9]*)", found)]


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


class Wire:
    """A transport that remembers what was written to it."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False

    def get_extra_info(self, _name: str) -> None:
        return None

    def write(self, data: bytes) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        pass

    abort = close
    resume_reading = pause_reading


def connected(application: Any) -> tuple[Any, Wire]:
    config = uvicorn.Config(application, lifespan="off", log_config=None, access_log=False)
    wire = Wire()
    protocol = BreakableProtocol(config, ServerState(), {}, asyncio.get_running_loop())
    protocol.connection_made(wire)  # type: ignore[arg-type]
    return protocol, wire


@at_once
async def test_a_request_alone_is_answered_before_anything_else_happens() -> None:
    protocol, wire = connected(Counting())
    protocol.data_received(request("/a"))
    assert bodies(wire.written) == ["/a"]
    assert not protocol.tasks


@at_once
async def test_one_that_came_with_its_body_does_not_wait_for_it() -> None:
    protocol, wire = connected(Counting())
    protocol.data_received(request("/read", "POST", body=b"{}"))
    assert bodies(wire.written) == ["/read"]
    assert not protocol.tasks


@at_once
async def test_one_whose_head_is_whole_begins_before_its_body_is() -> None:
    application = Counting()
    protocol, wire = connected(application)
    asked = request("/read", "POST", body=b"0123456789")
    protocol.data_received(asked[:-5])
    assert application.begun == ["/read"]
    protocol.data_received(asked[-5:])
    await until(lambda: not protocol.tasks)
    assert bodies(wire.written) == ["/read"]


@at_once
async def test_what_is_no_request_takes_nothing_from_the_one_before() -> None:
    protocol, wire = connected(Counting())
    protocol.data_received(request("/a") + b"nonsense\r\n\r\n")
    first, _, second = wire.written.partition(b"/aHTTP/1.1 400 ")
    assert first.startswith(b"HTTP/1.1 200 ")
    assert second
    assert wire.closed


@at_once
async def test_one_whose_own_body_is_broken_is_refused_and_not_begun() -> None:
    application = Counting()
    protocol, wire = connected(application)
    protocol.data_received(request("/read", "POST", "Transfer-Encoding: chunked") + b"nonsense\r\n")
    assert wire.written.startswith(b"HTTP/1.1 400 ")
    assert application.begun == []


@at_once
async def test_of_those_that_come_together_the_others_take_turns() -> None:
    application = Counting()
    protocol, wire = connected(application)
    protocol.data_received(request("/a") + request("/b") + request("/c"))
    assert application.begun == ["/a"]
    await until(lambda: not protocol.tasks)
    assert bodies(wire.written) == ["/a", "/b", "/c"]


@at_once
async def test_one_that_takes_its_time_is_known_to_be_under_way() -> None:
    application = Counting()
    protocol, wire = connected(application)
    protocol.data_received(request("/slow"))
    assert application.begun == ["/slow"]
    assert len(protocol.tasks) == 1
    application.may_go_on.set()
    await until(lambda: not protocol.tasks)
    assert bodies(wire.written) == ["/slow"]


async def test_the_one_before_does_not_make_a_connection_idle() -> None:
    # It is closed as soon as nothing is under way.
    found = await said(
        Counting(), request("/a") + request("/turns") + request("/turns2"), timeout_keep_alive=0
    )
    assert bodies(found) == ["/a", "/turns", "/turns2"]


@pytest.mark.parametrize("first", ["/a", "/slow", "/turns", "/read"])
async def test_many_are_answered_in_their_order(first: str) -> None:
    application = Counting()
    paths = [first, *(f"/{number}" for number in range(1000)), "/turns2", "/last"]
    async with serving(application) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(b"".join(map(request, paths)) + request("/end", *CLOSE))
        await until(lambda: application.begun)
        if first == "/slow":
            await until(lambda: next(iter(served.server.server_state.connections)).pipeline)
            assert application.begun == ["/slow"]
            application.may_go_on.set()
        found = await reader.read(-1)
        writer.close()
    assert bodies(found) == application.answered == [*paths, "/end"]


async def _beside(paths: list[str]) -> None:
    application = Counting()
    async with serving(application) as served:
        many, asking_many = await asyncio.open_connection("127.0.0.1", served.port)
        one, asking_one = await asyncio.open_connection("127.0.0.1", served.port)
        asking_many.write(b"".join(map(request, paths)))
        await many.readuntil(b"/0")
        asking_one.write(request("/one", *CLOSE))
        assert bodies(await one.read(-1)) == ["/one"]
        assert application.answered.index("/one") < len(paths) / 2
        await until(lambda: len(application.answered) == len(paths) + 1)
        asking_many.close()
        asking_one.close()


def test_another_connection_has_its_turn_while_many_are_answered() -> None:
    paths = [f"/{number}" for number in range(1000)]
    for run in (asyncio.run, uvloop.run):
        run(_beside(paths))


@pytest.mark.parametrize("body", [b"", b"{}", bytes(30_000)])
async def test_a_body_that_came_along_is_read(body: bytes) -> None:
    application = Counting()
    asked = request("/read", "POST", body=body) + request("/read2", "POST", body=body)
    assert bodies(await said(application, asked, request("/end", *CLOSE))) == ["/read", "/read2", "/end"]


async def test_a_body_that_comes_later_is_read() -> None:
    application = Counting()
    async with serving(application) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        asked = request("/read", "POST", body=b"0123456789")
        writer.write(asked[:-5])
        await until(lambda: application.begun)
        writer.write(asked[-5:] + request("/end", *CLOSE))
        assert bodies(await reader.read(-1)) == ["/read", "/end"]
        writer.close()


async def test_what_is_answered_without_its_body_leaves_the_next_request_whole() -> None:
    asked = request("/a", "POST", body=b"GET /evil HTTP/1.1\r\nHost: a\r\n\r\n") + request("/b")
    application = Counting()
    assert bodies(await said(application, asked, request("/end", *CLOSE))) == ["/a", "/b", "/end"]
    assert application.begun == ["/a", "/b", "/end"]


@pytest.mark.parametrize(
    ("last", "answers"),
    [
        (request("/refuse", "POST", body=bytes(1000)), ["/refuse"]),
        (request("/a", *CLOSE), ["/a"]),
        (b"GET /a HTTP/1.0\r\n\r\n", ["/a"]),
        (request("/abort"), []),
    ],
)
@pytest.mark.parametrize("secure", [False, True])
def test_nothing_behind_the_last_request_of_a_connection_is_done(
    tmp_path: Path, last: bytes, answers: list[str], secure: bool
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path))
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE

    async def ask() -> None:
        application = Counting()
        options: Any = {"ssl_context_factory": lambda _config, _default: context} if secure else {}
        async with serving(application, **options) as served:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", served.port, ssl=trusting if secure else None
            )
            writer.write(last + request("/behind") + request("/behind2"))
            try:
                found = await reader.read(-1)
            except ConnectionResetError:
                found = b""
            writer.close()
        assert bodies(found) == answers
        assert len(application.begun) == 1

    for run in (asyncio.run, uvloop.run):
        run(ask())


async def test_who_goes_away_meanwhile_is_noticed_and_holds_nobody_up() -> None:
    application = Counting()
    async with serving(application) as served:
        _, leaving = await asyncio.open_connection("127.0.0.1", served.port)
        leaving.write(request("/left") + request("/behind"))
        await until(lambda: application.begun)
        leaving.transport.abort()
        await until(lambda: application.left)
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(request("/a", *CLOSE))
        assert bodies(await reader.read(-1)) == ["/a"]
        writer.close()
    assert application.begun == ["/left", "/a"]


async def test_one_alone_that_goes_away_is_told_to_its_request() -> None:
    application = Counting()
    async with serving(application) as served:
        _, leaving = await asyncio.open_connection("127.0.0.1", served.port)
        leaving.write(request("/left"))
        await until(lambda: application.begun)
        leaving.transport.abort()
        await until(lambda: application.left)
        assert not served.server.server_state.tasks


async def test_a_stop_waits_for_what_was_begun() -> None:
    application = Counting()
    async with serving(application, timeout_graceful_shutdown=60) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(request("/slow"))
        await until(lambda: application.begun)
        served.server.should_exit = True
        await until(lambda: not served.server.servers[0].is_serving())
        assert not served.task.done()
        application.may_go_on.set()
        found = await reader.read(-1)
        assert bodies(found) == ["/slow"]
        writer.close()
        await served.task


@pytest.mark.parametrize("first", ["/a", "/turns", "/read"])
async def test_what_is_no_request_is_refused_and_the_connection_closed(first: str) -> None:
    found = await said(Counting(), request(first) + b"nonsense\r\n\r\n")
    assert found.count(b"HTTP/1.1 400 ") == 1
    assert found.endswith(b"Invalid HTTP request received.")


async def test_an_error_breaks_off_its_own_connection_alone() -> None:
    async def broken(_scope: Any, _receive: Any, _send: Any) -> None:
        raise RuntimeError("marker")

    found = await said(broken, request("/a") + request("/b"))
    assert found.count(b"HTTP/1.1 500 ") == 1
    assert b"marker" not in found
