"""The server's side of a connection: it can be broken off, and what is written together leaves together.

Closing waits until everything has been written, which a reader that takes nothing never lets happen, and in
TLS for the other side's farewell, which one that is frozen never says. And the server writes the head of an
answer and its body one by one: two TLS records and two calls of the system for an answer that fits into one,
a fifth of all that a short answer costs. An answer that is known as a whole is put together and written once,
past the server's way of taking it in parts.
"""

import asyncio
import sys
from collections.abc import Iterable
from fcntl import ioctl
from functools import lru_cache, partial
from itertools import chain
from termios import TIOCOUTQ
from typing import Any, cast

from starlette.types import Send

from fountain_common.lean_server import HEADER_RE, STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

ABORT = "fountain.abort"
"""The extension in an ASGI scope that breaks the connection off at once: a function without arguments."""
ANSWER = "fountain.answer"
"""The extension that sends a whole answer: `(send, status, headers, body)`, without `Content-Length`.

It answers False, and has done nothing, where the answer has to go the ordinary way, through `send`.
"""
FAREWELL_SECONDS = 0.5
"""Two of these a connection may take to close, on which nothing is under way; then it is broken off."""
_EAGER = sys.version_info >= (3, 13)
"""Whether a request is begun to be answered at once, or in the next turn of the event loop."""
_JOIN_BYTES = 16_384
"""A TLS record holds no more, so that copying more together would gain nothing."""
_CONTROLS = bytes([*range(0x09), *range(0x0A, 0x20), 0x7F])
"""What no header may contain, or it would begin another one."""
_STEERING = frozenset({b"connection", b"content-length", b"transfer-encoding"})
_WITHOUT_BODY = frozenset({204, 304})


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

    def write_through(self, data: bytes) -> None:
        """Write at once, behind what is held: nothing follows that could leave together with it."""
        held, self._held = self._held, b""
        self._transport.write(held + data if held else data)

    def close(self) -> None:
        """Close once everything is written."""
        self._let_go()
        self._transport.close()

    def _let_go(self) -> None:
        held, self._held = self._held, b""
        if held and not self._transport.is_closing():
            self._transport.write(held)


class BreakableProtocol(HttpToolsProtocol):
    """Uvicorn's HTTP with all of that."""

    _arriving = False
    """Whether what has just arrived is being read."""
    _first: tuple[RequestResponseCycle, Any] | None = None
    """The first request of what has just arrived, to be begun once that is read, and its application."""
    _under_way: RequestResponseCycle | None = None
    """The request that is being answered, or was the last to be."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection."""
        super().connection_made(transport)
        # Without TLS, the event loop itself joins what is written in one turn.
        if self.scheme == "https":
            self.transport = cast("asyncio.Transport", JoiningTransport(transport, self.loop))

    def shutdown(self) -> None:
        """Close, as soon as nothing is under way: the server stops.

        TLS ends with a farewell of either side, and one that is frozen never says it. One whose machine is
        gone does not even take ours: it is broken off when the server's own patience is at its end.
        """
        super().shutdown()
        self.loop.call_later(FAREWELL_SECONDS, self._break_off_if_done)

    def _break_off_if_done(self, *, again: bool = False) -> None:
        if self not in self.connections:
            return
        # The newest request may be one that lies behind the last to be answered.
        answered = self._under_way is None or self._under_way.response_complete
        done = answered and not self.transport.get_write_buffer_size() and _has_arrived(self.transport)
        if done and again:
            self.transport.abort()
        else:
            # What lies in a buffer that cannot be looked into would have been sent on by then.
            self.loop.call_later(FAREWELL_SECONDS, partial(self._break_off_if_done, again=done))

    def connection_lost(self, exc: Exception | None) -> None:
        """End a connection: the server says so to the newest request, but an older one may be under way."""
        super().connection_lost(exc)
        cycle = self._under_way
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()

    def data_received(self, data: bytes) -> None:
        """Take what has arrived, and begin to answer: what has a body mostly came together with it."""
        self._arriving = _EAGER
        try:
            super().data_received(data)
        finally:
            self._begin_first()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, behind the one before it; one whose own body is broken is not begun."""
        if self._first is not None and self._first[0].more_body:
            self._first = None
        self._begin_first()
        super().send_400_response(msg)

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over, behind the request before."""
        self._begin_first()
        super().handle_websocket_upgrade()

    def _begin_first(self) -> None:
        self._arriving = False
        if self._first is not None:
            (cycle, app), self._first = self._first, None
            self._start_asgi_task(cycle, app, at_once=True)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any, *, at_once: bool = False) -> None:
        if self._arriving and self._first is None:
            self._first = cycle, app
            return
        if self.transport.is_closing():
            # What lies behind the connection's last request is not answered, and so not done.
            return
        # Requests may lie one behind the other: to each its own cycle, and not the connection's newest.
        scope = cast("dict[str, Any]", cycle.scope)
        # Nothing that leads from the scope back to its own cycle: in such a circle each request would stay in
        # memory until the interpreter looks for circles, a tenth of all that requests cost.
        scope["extensions"] = {ABORT: self.transport.abort, ANSWER: self._answer}
        self._under_way = cycle
        if not at_once:
            # The one before may have been answered since this one has arrived: the connection is not idle.
            self._unset_keepalive_if_required()
            super()._start_asgi_task(cycle, app)
            return
        # One alone: others that came with it have to take turns with the other connections.
        begin = cast("Any", asyncio.Task)
        task: asyncio.Task[None] = begin(cycle.run_asgi(app), loop=self.loop, eager_start=True)
        if not task.done():
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    def _answer(
        self,
        send: Send,
        status: int,
        headers: Iterable[tuple[bytes, bytes]],
        body: bytes,
    ) -> bool:
        """Do in one step what `send` does with the two messages of a plain answer."""
        cycle = self._under_way
        if (
            cycle is None
            # Something in between wants to see what is sent, or the request is one of before.
            or send != cycle.send
            or cycle.response_started
            or cycle.disconnected
            or cycle.flow.write_paused
            or cycle.access_log
            or not cycle.keep_alive
            or status in _WITHOUT_BODY
            or cycle.scope["method"] == "HEAD"
            or len(body) > _JOIN_BYTES
        ):
            return False
        parts, lines = [STATUS_LINE[status]], 3
        for name, value in chain(cycle.default_headers, headers):
            start = _start_of_line(name)
            if not start:
                return False
            parts += (start, value, b"\r\n")
            lines += 1
        parts.append(b"content-length: %d\r\n\r\n" % len(body))
        head = b"".join(parts)
        if len(head) - len(head.translate(None, _CONTROLS)) != 2 * lines:
            # A value holds what it must not, and the ordinary way says so.
            return False
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        transport = cycle.transport
        write = transport.write_through if isinstance(transport, JoiningTransport) else transport.write
        write(head + body)
        cycle.message_event.set()
        cycle.on_response()
        return True


def _has_arrived(transport: asyncio.Transport) -> bool:
    """Tell whether the other system has everything that was given to ours; False where ours cannot say."""
    try:
        left = ioctl(transport.get_extra_info("socket").fileno(), TIOCOUTQ, bytes(4))
    except OSError:
        return False
    return not any(left)


@lru_cache(maxsize=256)
def _start_of_line(name: bytes) -> bytes:
    """Return what a header's line begins with; nothing if the ordinary way has to judge the header."""
    name = name.lower()
    return b"" if name in _STEERING or HEADER_RE.search(name) else name + b": "
