"""An application behind the product's own server, in the test's event loop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import uvicorn
from fountain_common.connection import BreakableProtocol


class Served(NamedTuple):
    """The server, its task, and its port."""

    server: uvicorn.Server
    task: asyncio.Task[None]
    port: int


@asynccontextmanager
async def serving(application: Any, **options: Any) -> AsyncIterator[Served]:
    """Serve; at the end the server stops in an orderly way."""
    config = uvicorn.Config(
        application,
        port=0,
        http=BreakableProtocol,
        lifespan="off",
        log_config=None,
        access_log=False,
        date_header=False,
        **options,
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(20):
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            yield Served(server, task, server.servers[0].sockets[0].getsockname()[1])
        finally:
            server.should_exit = True
            await task


def request(path: str, method: str = "GET", *more: str, body: bytes = b"") -> bytes:
    """The bytes of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: a", "X-Request-ID: r-1", *more]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


async def said(application: Any, *parts: bytes, **options: Any) -> bytes:
    """Everything that the server says until it closes."""
    async with serving(application, **options) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        for part in parts:
            writer.write(part)
            await writer.drain()
        found = await reader.read(-1)
        writer.close()
    return found
