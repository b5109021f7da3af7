"""A connection that the application breaks off."""

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
import uvloop
from entrypoint_secrets_manager import certificate
from fountain_common.connection import ABORT, BreakableProtocol, JoiningTransport


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"10")]})
    await send({"type": "http.response.body", "body": b"five!", "more_body": True})
    scope["extensions"][ABORT]()


async def test_it_is_broken_off_at_once_and_not_finished() -> None:
    config = uvicorn.Config(
        application, port=0, http=BreakableProtocol, lifespan="off", log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(10):
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(10_000)
        writer.close()
        server.should_exit = True
        await serving


LARGE = 30_000_000
"""More than our system takes from us."""
MIDDLE = 120_000
"""Our system takes it, and theirs does not."""


async def _plain(scope: dict[str, Any], _receive: Any, send: Any) -> None:
    body = b"ok" if scope["path"] == "/" else bytes(int(scope["path"][1:]))
    length = str(len(body)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": body})


def _connected(port: int, path: str) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    plain = socket.socket()
    plain.settimeout(10)
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.connect(("127.0.0.1", port))
    asking = context.wrap_socket(plain)
    asking.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    return asking


def _ask(port: int) -> ssl.SSLSocket:
    asking = _connected(port, "/")
    said = b""
    while not said.endswith(b"ok"):
        said += asking.recv(4096)
    return asking


@asynccontextmanager
async def _serving(folder: Path) -> AsyncIterator[tuple[uvicorn.Server, asyncio.Task[None], int]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(folder))
    server = uvicorn.Server(
        uvicorn.Config(
            _plain,
            port=0,
            http=BreakableProtocol,
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=60,
            ssl_context_factory=lambda _config, _default: context,
        )
    )
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * MIDDLE)
    listening.bind(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    async with asyncio.timeout(20):
        while not server.started:
            await asyncio.sleep(0.01)
        yield server, serving, listening.getsockname()[1]


def test_a_stop_does_not_wait_for_the_farewell_of_one_who_is_frozen(tmp_path: Path) -> None:
    async def stop_beside_a_frozen_one() -> None:
        async with _serving(tmp_path) as (server, serving, port):
            # It has its answer, keeps the connection, and reads nothing any more.
            frozen = await asyncio.to_thread(_ask, port)
            server.should_exit = True
            await serving
        frozen.close()

    uvloop.run(stop_beside_a_frozen_one())


@pytest.mark.parametrize("length", [MIDDLE, LARGE])
def test_a_stop_cuts_no_answer_off_however_slowly_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    looks = threading.Semaphore(0)
    look = BreakableProtocol._break_off_if_done

    def noted(protocol: BreakableProtocol, *, again: bool = False) -> None:
        look(protocol, again=again)
        looks.release()

    monkeypatch.setattr(BreakableProtocol, "_break_off_if_done", noted)
    monkeypatch.setattr("fountain_common.connection.FAREWELL_SECONDS", 0.02)

    def read_late(asking: ssl.SSLSocket) -> int:
        for _ in range(5):
            assert looks.acquire(timeout=10), "it was broken off"
        size = 0
        while part := asking.recv(1 << 20):
            size += len(part)
        return size

    async def stop_before_it_is_read() -> int:
        async with _serving(tmp_path) as (server, serving, port):
            slow = await asyncio.to_thread(_connected, port, f"/{length}")
            while not any(_answered(one) for one in server.server_state.connections):
                await asyncio.sleep(0.01)
            server.should_exit = True
            size = await asyncio.to_thread(read_late, slow)
            await serving
        slow.close()
        return size

    assert uvloop.run(stop_before_it_is_read()) > length


def _answered(connection: Any) -> bool:
    return connection.cycle is not None and connection.cycle.response_complete


class Clock:
    """An event loop's, with one thing to be done later at most."""

    def __init__(self) -> None:
        self._later: Any = None

    def call_later(self, _seconds: float, what: Any) -> None:
        assert self._later is None
        self._later = what

    def comes(self) -> None:
        what, self._later = self._later, None
        what()


def test_it_is_broken_off_when_it_is_found_done_twice_on_end(monkeypatch: pytest.MonkeyPatch) -> None:
    arrived, broken_off, clock = [True], [], Clock()
    monkeypatch.setattr("fountain_common.connection._has_arrived", lambda _transport: arrived[0])
    connection: Any = BreakableProtocol.__new__(BreakableProtocol)
    connection.connections, connection.cycle, connection.loop = {connection}, None, clock
    connection.transport = SimpleNamespace(
        get_write_buffer_size=lambda: 0, abort=lambda: broken_off.append(True)
    )
    connection._break_off_if_done()
    assert not broken_off, "what lies where it cannot be seen is given the time to be sent on"
    arrived[0] = False
    clock.comes()
    arrived[0] = True
    clock.comes()
    assert not broken_off
    clock.comes()
    assert broken_off == [True]


class Wire:
    """A transport that remembers what was written to it, write by write."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.writes.append(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close


def joining() -> tuple[Wire, Any]:
    wire = Wire()
    return wire, JoiningTransport(wire, asyncio.get_running_loop())  # type: ignore[arg-type]


async def test_head_and_body_leave_together() -> None:
    wire, transport = joining()
    transport.write(b"head, ")
    transport.write(b"body")
    assert wire.writes == [b"head, body"]


async def test_a_head_whose_body_takes_its_time_leaves_at_the_end_of_the_turn() -> None:
    wire, transport = joining()
    transport.write(b"head")
    await asyncio.sleep(0)
    assert wire.writes == [b"head"]
    transport.write(b"body")
    await asyncio.sleep(0)
    assert wire.writes == [b"head", b"body"]


async def test_a_large_body_is_not_copied_and_stays_behind_its_head() -> None:
    wire, transport = joining()
    large = bytes(100_000)
    transport.write(b"head")
    transport.write(large)
    assert wire.writes[0] == b"head"
    assert wire.writes[1] is large


async def test_what_was_written_is_sent_before_it_closes_and_never_after() -> None:
    wire, transport = joining()
    transport.write(b"last words")
    transport.close()
    assert wire.writes == [b"last words"]
    assert wire.closed
    wire, transport = joining()
    transport.write(b"never sent")
    transport.abort()
    await asyncio.sleep(0)
    assert wire.writes == []
