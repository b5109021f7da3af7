"""What is known about the request that is being answered, and where it came from.

`current()` answers it anywhere below the request, for logs and for calls to peers.
"""

import asyncio
import ipaddress
import re
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar, Token
from typing import NamedTuple

from fountain_common.tracing import TraceParent, parse_traceparent

_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,128}", re.ASCII)
_EDGE_FRESH_SECONDS = 30.0
_EDGE_RETRY_SECONDS = 2.0

Resolve = Callable[[str], Awaitable[list[str]]]


class RequestContext(NamedTuple):
    """One request.

    Attributes:
        request_id: accepted from the caller, or made.
        trace: its place in a W3C trace.
        client: the address of the real client, behind the edge if it came through it; "" if not known.
        through_edge: whether it came through the edge; otherwise it is from inside.
    """

    request_id: str
    trace: TraceParent
    client: str = ""
    through_edge: bool = False

    @property
    def trace_id(self) -> str:
        """The trace's id, 32 hex digits."""
        return self.trace.trace_id

    @property
    def traceparent(self) -> str:
        """The header to send on to a peer."""
        return str(self.trace.child())


HEADERS = "fountain.headers"
"""In an ASGI scope, its headers as they came and the same by lower-case name; None if one was sent twice."""
_current: ContextVar[RequestContext | None] = ContextVar("fountain_request", default=None)


def current() -> RequestContext | None:
    """Return the request being answered; None outside of one."""
    return _current.get()


def outgoing_headers() -> dict[str, str]:
    """Return the headers that carry the request id and the trace on to a peer; none outside of a request."""
    request = _current.get()
    if request is None:
        return {}
    return {"X-Request-ID": request.request_id, "traceparent": request.traceparent}


async def resolve_host(host: str) -> list[str]:
    """Return all addresses of a host."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(item[4][0]) for item in found]


def plain_address(raw: str) -> str:
    """Return an address in its one spelling, IPv4 inside IPv6 unwrapped; "" if it is none."""
    try:
        address = ipaddress.ip_address(raw.strip().partition("%")[0])
    except ValueError:
        return ""
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


class Edge:
    """Knows whose `X-Forwarded-For` is to be believed: the edge's addresses alone.

    They are looked up when a request carries that header, and again after 30 seconds, or 2 seconds for a
    caller that is not among them, since a restarted edge has a new address.
    """

    def __init__(self, host: str, *, local: bool = False, resolve: Resolve = resolve_host) -> None:
        self._host, self._local, self._resolve = host, local, resolve
        self._addresses: frozenset[str] = frozenset()
        self._asked_at = float("-inf")
        self._lock = asyncio.Lock()

    async def is_edge(self, peer: str) -> bool:
        """Tell whether this address, of the TCP peer, is the edge's."""
        address = plain_address(peer)
        if not address:
            return False
        if self._local:
            return ipaddress.ip_address(address).is_loopback
        async with self._lock:
            age = time.monotonic() - self._asked_at
            if age > (_EDGE_FRESH_SECONDS if address in self._addresses else _EDGE_RETRY_SECONDS):
                await self._refresh()
        return address in self._addresses

    async def _refresh(self) -> None:
        self._asked_at = time.monotonic()
        try:
            async with asyncio.timeout(1):
                self._addresses = frozenset(map(plain_address, await self._resolve(self._host)))
        except (OSError, TimeoutError):
            # A resolver that is away for a moment does not move the edge: what was known stays.
            return


async def client_address(edge: Edge, peer: str, forwarded_for: str | None) -> str:
    """Return the real client's address.

    The rightmost entry of `X-Forwarded-For` is the one that our edge wrote; those before it are hearsay.
    """
    if forwarded_for and await edge.is_edge(peer):
        return plain_address(forwarded_for.rpartition(",")[2]) or plain_address(peer)
    return plain_address(peer)


def accept(headers: Mapping[bytes, bytes], client: str, span: TraceParent | None = None) -> RequestContext:
    """Make the context of a request from its headers.

    A request id is accepted if it is 1 to 128 letters, digits and hyphens: no room for line breaks, markup or
    one of our API keys. Otherwise it is made, as is the trace, unless there is a span that has begun already.
    """
    trace, raw = span, headers.get(b"traceparent")
    if trace is None and raw:
        trace = parse_traceparent(raw.decode("latin-1"))
    fresh = secrets.token_hex(24)
    if trace is None:
        trace = TraceParent(fresh[:32], fresh[32:])
    given = headers.get(b"x-request-id", b"").decode("latin-1")
    request_id = given if _REQUEST_ID.fullmatch(given) else fresh[:32]
    return RequestContext(request_id, trace, client, b"x-fountain-edge" in headers)


def sole_bearer_token(headers: Mapping[bytes, bytes]) -> bytes:
    """Return the bearer token of a request that carries no other credential; nothing for every other."""
    authorization = headers.get(b"authorization", b"")
    if authorization[:7].lower() != b"bearer " or b"x-api-key" in headers:
        return b""
    return authorization[7:].strip()


def enter(context: RequestContext) -> Token[RequestContext | None]:
    """Make this the current request; `leave` takes the token."""
    return _current.set(context)


def leave(token: Token[RequestContext | None]) -> None:
    """End the current request."""
    _current.reset(token)
