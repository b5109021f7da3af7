"""A connection that the application breaks off."""

import asyncio
from typing import Any

import pytest
import uvicorn
from fountain_common.connection import ABORT, BreakableProtocol


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
