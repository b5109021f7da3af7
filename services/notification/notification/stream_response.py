"""The answer that does not end: an ASGI response which sends as fast as its reader takes."""

import asyncio
from collections.abc import Mapping

from fountain_common.connection import ABORT
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from notification.sse import HELLO
from notification.streams import Reader, Streams


class StreamResponse(Response):
    """A stream of events to a reader that has joined already.

    The server stops taking more when the reader's connection is full; if that lasts for `stall_seconds`, the
    reader is disconnected. It comes back and resumes.

    Args:
        streams, reader: who is served.
        first: sent before all events, such as the notice of a gap.
        stall_seconds: how long a send may take.
        headers: more headers.
    """

    media_type = "text/event-stream"

    def __init__(
        self, streams: Streams, reader: Reader, first: bytes, stall_seconds: float, headers: Mapping[str, str]
    ) -> None:
        self._streams, self._reader, self._first, self._stall_seconds = streams, reader, first, stall_seconds
        self.status_code = 200
        self.background = None
        # A proxy that gathers the answer before it passes it on would keep the events from their reader.
        self.init_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no", **headers})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve until one of the two sides ends it."""
        watching = asyncio.create_task(self._watch(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await self._send(send, HELLO + self._first)
            while (chunk := await self._streams.next(self._reader)) is not None:
                await self._send(send, chunk)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            self._reader.end("slow")
            abort = scope.get("extensions", {}).get(ABORT)
            if abort is not None:
                # What it has not taken is thrown away; returning before that would be an unfinished answer.
                abort()
                await watching
        except OSError:
            self._reader.end("left")
        finally:
            self._streams.leave(self._reader)
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _send(self, send: Send, chunk: bytes) -> None:
        async with asyncio.timeout(self._stall_seconds):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._reader.end("left")
