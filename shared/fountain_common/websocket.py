"""One WebSocket (RFC 6455): opened with a request id, refused with a problem, ended with a status code."""

from starlette.requests import HTTPConnection
from starlette.types import Message, Scope, Send

from fountain_common.errors import respond

SWITCHED = 101
_REFUSED_BY_US, _OUR_FAULT = 1008, 1011
"""RFC 6455, section 7.4.1: the end of a socket that was opened, for a refusal and for a failure."""


class SocketExchange:
    """Sends on, with the request id, and remembers the status.

    A problem before the socket is open is the answer to its handshake. After that there is no room for one:
    it becomes the code with which the socket is closed.

    Attributes:
        status: of the handshake; 0 until it has one.
    """

    __slots__ = ("_closed", "_request_id", "_send", "status")

    def __init__(self, send: Send, request_id: bytes) -> None:
        self._send, self._request_id = send, request_id
        self.status, self._closed = 0, False

    async def __call__(self, message: Message) -> None:
        """Send one message of the application."""
        kind = message["type"]
        if self.status == SWITCHED and kind.startswith("websocket.http.response"):
            await self._close(_REFUSED_BY_US if message.get("status", 500) < 500 else _OUR_FAULT)
            return
        if kind == "websocket.accept":
            self.status = SWITCHED
        elif kind == "websocket.http.response.start":
            self.status = message["status"]
        elif kind == "websocket.close":
            # Closed without an answer: servers make that a 403.
            self.status = self.status or 403
            self._closed = True
        if kind in ("websocket.accept", "websocket.http.response.start"):
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self._request_id)]
        await self._send(message)

    async def refuse(self, scope: Scope, status: int, detail: str) -> None:
        """Answer the handshake with a problem, or end the socket that is open."""

        async def nothing() -> Message:
            return {"type": "websocket.connect"}

        await respond(HTTPConnection(scope), status, detail)(scope, nothing, self)

    async def fail(self, scope: Scope) -> None:
        """End what an error of ours met."""
        if not self._closed:
            await self.refuse(scope, 500, "Something went wrong here. The request id finds it in the logs.")

    async def _close(self, code: int) -> None:
        if not self._closed:
            self._closed = True
            await self._send({"type": "websocket.close", "code": code})
