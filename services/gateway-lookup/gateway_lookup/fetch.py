"""What the gateway fetches from instances: little, quickly, and from nowhere but the address that is
leased.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx2
from fountain_common.connections import Connections
from fountain_common.issuer import NAME as SECRETS_MANAGER

from gateway_lookup.leases import Claim

SECONDS = 2.0
LIMIT = 1024 * 1024
_QUESTION = "GET /health HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
_FEW_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer: its status, and its body, at most 1 MB."""

    status: int
    body: bytes


class Fetcher:
    """Fetches from leased addresses: GET, no redirects, two seconds in all, one megabyte, no credentials.

    Args:
        connections: makes the clients.
        context: answers what the Secrets Manager's certificate is verified against; it may not be there yet.
    """

    def __init__(self, connections: Connections, context: Callable[[], Awaitable[ssl.SSLContext]]) -> None:
        self._connections, self._context = connections, context
        self._plain: httpx2.AsyncClient | None = None
        # The pool keys connections by address alone, so the verified ones need a client of their own.
        self._verified: tuple[ssl.SSLContext, httpx2.AsyncClient] | None = None

    async def get(self, claim: Claim, path: str) -> Fetched | None:
        """Return what an instance answers; None if it does not, in time and in size."""
        try:
            async with asyncio.timeout(SECONDS):
                client, extensions = await self._client(claim)
                async with client.stream(
                    "GET", claim.url + path, extensions=extensions, timeout=SECONDS
                ) as response:
                    body = bytearray()
                    async for chunk in response.aiter_bytes():
                        body += chunk
                        if len(body) > LIMIT:
                            return None
                    return Fetched(response.status_code, bytes(body))
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError, TimeoutError):
            return None

    async def answers(self, claim: Claim) -> bool:
        """Tell whether an instance is there at all: any answer will do, and its beginning.

        It costs a tenth of what `get` does, and waits for no place among a client's connections: a thousand
        may be asked at once.
        """
        if claim.scheme == "https":
            return await self.get(claim, "/health") is not None
        writer = None
        try:
            async with asyncio.timeout(SECONDS):
                reader, writer = await asyncio.open_connection(claim.host, claim.port, limit=_FEW_BYTES)
                writer.write(_QUESTION.format(host=claim.host, port=claim.port).encode())
                return bool(await reader.read(1))
        except (OSError, ValueError, TimeoutError):
            return False
        finally:
            if writer is not None:
                writer.transport.abort()

    async def is_elsewhere(self, claim: Claim, claimant: str) -> bool:
        """Tell whether it is certain that an instance is not at its address: nobody listens there, or
        somebody who cannot show its certificate, or the Secrets Manager, if it is the service that claims the
        address and shows its certificate there. Silence is not certain.
        """
        try:
            await self._knock(claim, claim.service if claim.scheme == "https" else None)
        except (ConnectionRefusedError, ssl.SSLError):
            return True
        except (OSError, ValueError, TimeoutError):
            return False
        if claim.scheme == "https" or claimant != SECRETS_MANAGER:
            return False
        try:
            await self._knock(claim, SECRETS_MANAGER)
        except (OSError, ValueError, TimeoutError):
            return False
        return True

    async def _knock(self, claim: Claim, name: str | None) -> None:
        """Open a connection, with TLS if who is there has to show the certificate of this name."""
        async with asyncio.timeout(SECONDS):
            context = await self._context() if name is not None else None
            _, writer = await asyncio.open_connection(
                claim.host, claim.port, ssl=context, server_hostname=name
            )
        writer.transport.abort()

    async def close(self) -> None:
        """Close the connections."""
        if self._plain is not None:
            await self._plain.aclose()
        if self._verified is not None:
            await self._verified[1].aclose()

    async def _client(self, claim: Claim) -> tuple[httpx2.AsyncClient, dict[str, str]]:
        if claim.scheme == "http":
            if self._plain is None:
                self._plain = self._connections.client()
            return self._plain, {}
        context = await self._context()
        if self._verified is None or self._verified[0] is not context:
            if self._verified is not None:
                await self._verified[1].aclose()
            self._verified = context, self._connections.client(context)
        return self._verified[1], {"sni_hostname": claim.service}
