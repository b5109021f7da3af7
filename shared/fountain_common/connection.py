"""The server's side of a connection: it can be broken off, and what is written together leaves together.

Closing waits until everything has been written, which a reader that takes nothing never lets happen. And the
server writes the head of an answer and its body one by one: two TLS records and two calls of the system for
an answer that fits into one, a fifth of all that a short answer costs.
"""

import asyncio
from typing import Any, cast

from fountain_common.lean_server import HttpToolsProtocol

ABORT = "fountain.abort"
"""The extension in an ASGI scope that breaks the connection off at once: a function without arguments."""
_JOIN_BYTES = 16_384
"""A TLS record holds no more, so that copying more together would gain nothing."""


class JoiningTransport:
    """A transport that holds a write back until the next one, or until the event loop's turn is over.

    Everything but writing is the transport's own.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._held = b""
        # What every request asks for, found without the detour below.
        self.abort, self.is_closing = transport.abort, transport.is_closing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write, with what is held if both are short."""
        held, self._held = self._held, b""
        if held and len(held) + len(data) <= _JOIN_BYTES:
            self._transport.write(held + data)
        elif held or len(data) > _JOIN_BYTES:
            if held:
                self._transport.write(held)
            self._transport.write(data)
        elif data:
            self._held = bytes(data)
            self._loop.call_soon(self._let_go)

    def close(self) -> None:
        """Close once everything is written."""
        self._let_go()
        self._transport.close()

    def _let_go(self) -> None:
        held, self._held = self._held, b""
        if held and not self._transport.is_closing():
            self._transport.write(held)


class BreakableProtocol(HttpToolsProtocol):
    """Uvicorn's HTTP with both."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection."""
        super().connection_made(transport)
        self.transport = cast("asyncio.Transport", JoiningTransport(transport, self.loop))

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        scope: dict[str, Any] = cast("dict[str, Any]", self.scope)
        scope.setdefault("extensions", {})[ABORT] = self.transport.abort
