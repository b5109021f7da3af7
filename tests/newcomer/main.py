"""A guest book: a service that nobody has configured anywhere, in as few lines as it takes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import WebSocket
from fastapi.responses import StreamingResponse
from fountain_common import Caller, create_service, load, requires
from settings import Settings

app = create_service(load(Settings), title="Guest Book", description="Who was here.", version="1.0.0")
written: asyncio.Queue[str] = asyncio.Queue()


@app.post("/entries", status_code=201, summary="Write", dependencies=[requires()])
async def write_entry(body: dict[str, str]) -> dict[str, str]:
    """Write an entry."""
    await written.put(body["text"])
    return body


@app.get("/entries", summary="Read along", dependencies=[requires()])
async def read_along() -> StreamingResponse:
    """Return each entry as it is written, until there is an empty one."""

    async def lines() -> AsyncIterator[str]:
        yield "reading\n"
        while text := await written.get():
            yield f"{text}\n"

    return StreamingResponse(lines(), media_type="text/plain")


@app.websocket("/talk")
async def talk(socket: WebSocket, caller: Annotated[Caller, requires()]) -> None:
    """Say everything back, with the speaker's name."""
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(f"{caller.subject}: {text}")
