"""One WebSocket (RFC 6455): opened with a request id, refused with a problem, ended with a status code, and
with the token that it was opened with.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from starlette.requests import HTTPConnection
from starlette.types import Message, Receive, Scope, Send

from fountain_common.error_handlers import respond
from fountain_common.tokens import Caller
from fountain_common.verifier import TokenVerifier

SWITCHED = 101
_REVOKED = "The token has been revoked."
_REFUSED_BY_US, _OUR_FAULT = 1008, 1011
"""RFC 6455, section 7.4.1: the end of a socket that was opened, for a refusal and for a failure."""


class SocketExchange:
    """Sends and receives, with the request id, and remembers the status.

    A problem before the socket is open is the answer to its handshake. After that there is no room for one:
    it becomes the code with which the socket is closed.

    Attributes:
        status: of the handshake; 0 until it has one.
    """

    __slots__ = ("_closed", "_ended", "_opened", "_receive", "_request_id", "_send", "status")

    def __init__(
        self, receive: Receive, send: Send, request_id: bytes, opened: Callable[["SocketExchange"], None]
    ) -> None:
        self._receive, self._send, self._request_id, self._opened = receive, send, request_id, opened
        self.status, self._closed, self._ended = 0, False, False

    async def __call__(self, message: Message) -> None:
        """Send one message of the application.

        Raises:
            OSError: the socket has been ended.
        """
        kind = message["type"]
        if self._ended:
            raise ConnectionAbortedError
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
        if kind == "websocket.accept":
            self._opened(self)

    async def receive(self) -> Message:
        """Receive one message of the caller; of one who is not to be heard any more, that it has left."""
        message = await self._receive()
        return {"type": "websocket.disconnect", "code": _REFUSED_BY_US} if self._ended else message

    async def end(self, reason: str) -> None:
        """Close it although the application would go on."""
        if not self._closed:
            self._ended = True
            # It may have gone by itself at this moment.
            with suppress(OSError, RuntimeError):
                await self._close(_REFUSED_BY_US, reason)

    async def refuse(self, scope: Scope, status: int, detail: str) -> None:
        """Answer the handshake with a problem, or end the socket that is open."""

        async def nothing() -> Message:
            return {"type": "websocket.connect"}

        await respond(HTTPConnection(scope), status, detail)(scope, nothing, self)

    async def fail(self, scope: Scope) -> None:
        """End what an error of ours met."""
        if not self._closed:
            await self.refuse(scope, 500, "Something went wrong here. Look for the request id in the logs.")

    async def _close(self, code: int, reason: str = "") -> None:
        if not self._closed:
            self._closed = True
            await self._send({"type": "websocket.close", "code": code, "reason": reason})


class OpenSockets:
    """The open sockets of a service. Each ends when its token expires or is revoked, as event streams do."""

    def __init__(self) -> None:
        self._verifier: TokenVerifier | None = None
        self._open: dict[SocketExchange, tuple[Caller, asyncio.TimerHandle]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def exchange(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> SocketExchange:
        """Return the exchange of a socket that wants to be opened."""

        def opened(exchange: SocketExchange) -> None:
            caller: Caller | None = scope["state"].get("caller")
            if caller is not None:
                self._watch(exchange, caller, scope["app"].state.platform.verifier)

        return SocketExchange(receive, send, request_id.encode(), opened)

    def forget(self, exchange: SocketExchange) -> None:
        """Watch a socket no longer: it has ended."""
        if exchange in self._open:
            self._open.pop(exchange)[1].cancel()

    def _watch(self, exchange: SocketExchange, caller: Caller, verifier: TokenVerifier) -> None:
        if self._verifier is None:
            self._verifier = verifier
            verifier.on_revocation(self._end_revoked)
        left = max(0.0, caller.expires_at - time.time())
        timer = asyncio.get_running_loop().call_later(left, self._end, exchange, "The token has expired.")
        self._open[exchange] = caller, timer
        # Between the handshake and this moment it may have been.
        if verifier.revoked(caller):
            self._end(exchange, _REVOKED)

    def _end_revoked(self) -> None:
        for exchange, (caller, _) in list(self._open.items()):
            if self._verifier is not None and self._verifier.revoked(caller):
                self._end(exchange, _REVOKED)

    def _end(self, exchange: SocketExchange, reason: str) -> None:
        self.forget(exchange)
        task = asyncio.create_task(exchange.end(reason))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
