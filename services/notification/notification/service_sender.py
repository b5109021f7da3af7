"""Sending one delivery to a service, found through the gateway like any peer.

Each subscription has connections of its own, as many as its courier needs at most: services that hang hold up
neither each other's deliveries nor what notification itself asks of its peers.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping

import httpx2
from fountain_common.connections import Connections
from fountain_common.errors import Problem
from fountain_common.http import Peers
from fountain_common.platform import Platform

from notification.sender import (
    CONTENT_TYPE,
    MAX_ANSWER_BYTES,
    MAX_READ_BYTES,
    USER_AGENT,
    Answer,
    NotSent,
)


class ServiceSender:
    """Sends to one healthy instance of a service, at its `POST /notifications`, with a token for that
    service.

    Args:
        service: its name.
        platform: knows the way, and has the tokens.
        timeout_seconds: for everything from the lookup to the last byte.
    """

    def __init__(self, service: str, platform: Platform, timeout_seconds: float) -> None:
        self._service, self._timeout_seconds = service, timeout_seconds
        own = Connections(_Beginnings(platform.connections.transport or _network()))
        self._peers = Peers(own, platform.discovery, platform.tokens, platform.issuer)

    async def send(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send once; see `Sender`."""
        sent = {**headers, "Content-Type": CONTENT_TYPE, "User-Agent": USER_AGENT}
        try:
            async with asyncio.timeout(self._timeout_seconds):
                response = await self._peers.post(
                    self._service,
                    "/notifications",
                    content=body,
                    headers={**sent, "Accept-Encoding": "identity"},
                    timeout=self._timeout_seconds,
                )
        except TimeoutError:
            raise NotSent(f"No answer within {self._timeout_seconds:g} seconds.") from None
        except Problem as problem:
            raise NotSent(problem.detail or problem.title) from None
        except httpx2.HTTPError as error:
            raise NotSent(f"The connection failed: {type(error).__name__}.") from None
        return Answer(
            response.status_code, response.content[:MAX_ANSWER_BYTES], response.headers.get("retry-after")
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._peers.close()


class _Beginnings(httpx2.AsyncBaseTransport):
    """Carries requests as another transport does, and of each answer only what is read of it."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; return what comes, cut off and as it came: nothing is unpacked."""
        response = await self._inner.handle_async_request(request)
        for name in ("content-length", "content-encoding"):
            response.headers.pop(name, None)
        return httpx2.Response(
            response.status_code,
            headers=response.headers,
            stream=_Beginning(response.stream),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


class _Beginning(httpx2.AsyncByteStream):
    def __init__(self, whole: httpx2.SyncByteStream | httpx2.AsyncByteStream) -> None:
        if not isinstance(whole, httpx2.AsyncByteStream):
            raise TypeError("an asynchronous transport answers what can be read asynchronously")
        self._whole = whole

    async def __aiter__(self) -> AsyncIterator[bytes]:
        count = 0
        async for part in self._whole:
            yield part
            count += len(part)
            if count > MAX_READ_BYTES:
                return

    async def aclose(self) -> None:
        await self._whole.aclose()


def _network() -> httpx2.AsyncBaseTransport:
    # Inside, HTTP is plain: there are no certificates to trust.
    return httpx2.AsyncHTTPTransport(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), trust_env=False)
