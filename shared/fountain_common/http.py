"""Calls to peers: found by name, with a token for that peer alone, tried again where that is safe."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from fountain_common.breaker import Breaker
from fountain_common.connections import Connections
from fountain_common.discovery import Discovery
from fountain_common.errors import Problem, Unavailable
from fountain_common.identity import TokenSource
from fountain_common.issuer import NAME as SECRETS_MANAGER
from fountain_common.issuer import IssuerClient
from fountain_common.names import service_name
from fountain_common.requests import outgoing_headers

ATTEMPTS, MOST_ATTEMPTS, MORE_SECONDS = 3, 10, 2.0
"""Where there are more instances, more of them have their turn, unless that takes long: many may have died
at one moment.
"""
PAUSE_SECONDS = 0.05
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_TRY_ANOTHER = frozenset({502, 503, 504})
_MAX_BREAKERS = 1000


class PeerUnavailable(Unavailable):
    """A peer that could not be reached, or whose circuit is open; `peer` in the problem names it."""

    def __init__(self, peer: str, reason: str) -> None:
        super().__init__(f"{peer} is not reachable: {reason.removesuffix('.')}.", peer=peer)


class Peers:
    """Sends requests to other services by their names.

    Args:
        connections: makes the client.
        discovery: answers addresses.
        tokens: our own; None sends none.
        issuer: the way to the Secrets Manager, which is spoken to by nothing else.
        monotonic: seconds.
    """

    def __init__(
        self,
        connections: Connections,
        discovery: Discovery,
        tokens: TokenSource | None,
        issuer: IssuerClient | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connections, self._discovery, self._tokens, self._issuer = (
            connections,
            discovery,
            tokens,
            issuer,
        )
        self._monotonic = monotonic
        self._client: httpx2.AsyncClient | None = None
        self._breakers: dict[tuple[str, str], Breaker] = {}

    async def get(self, service: str, path: str, **options: Any) -> httpx2.Response:
        """Send a GET; see `request`."""
        return await self.request("GET", service, path, **options)

    async def post(self, service: str, path: str, **options: Any) -> httpx2.Response:
        """Send a POST; see `request`."""
        return await self.request("POST", service, path, **options)

    async def put(self, service: str, path: str, **options: Any) -> httpx2.Response:
        """Send a PUT; see `request`."""
        return await self.request("PUT", service, path, **options)

    async def patch(self, service: str, path: str, **options: Any) -> httpx2.Response:
        """Send a PATCH; see `request`."""
        return await self.request("PATCH", service, path, **options)

    async def delete(self, service: str, path: str, **options: Any) -> httpx2.Response:
        """Send a DELETE; see `request`."""
        return await self.request("DELETE", service, path, **options)

    async def request(
        self, method: str, service: str, path: str, *, headers: dict[str, str] | None = None, **options: Any
    ) -> httpx2.Response:
        """Send a request and return what came back, errors of the peer included.

        What failed before anything was sent is tried at another instance; so is, for idempotent methods and
        requests with an `Idempotency-Key`, whatever else failed. A refused token is replaced once.

        Args:
            method: such as "GET".
            service: the peer's name, `_` read as `-`; also the audience of the token.
            path: from the root, such as "/lookup/x".
            headers: more headers.
            **options: as httpx2 takes them: `json`, `params`, `data`, `content`, `timeout`.

        Raises:
            PeerUnavailable: a 503; nobody answers.
            NotFound: there is no such service.
            Unauthenticated, Unavailable: no token for it could be had.
            InvalidName: a 422; that is no name of a service.
        """
        service = service_name(service)
        headers = dict(headers or {})
        repeatable = method.upper() in _IDEMPOTENT or any(
            name.lower() == "idempotency-key" for name in headers
        )
        renewed = False
        attempt, began = 0, self._monotonic()
        while True:
            attempt += 1
            try:
                response = await self._send(method, service, path, headers, options)
            except httpx2.TransportError as error:
                unsent = isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout)
                if self._is_last(attempt, service, began) or not (unsent or repeatable):
                    raise PeerUnavailable(service, type(error).__name__) from None
                await self._pause(attempt)
                continue
            if response.status_code == 401 and self._tokens is not None and not renewed:
                renewed = True
                attempt -= 1
                self._tokens.forget(service)
                continue
            overloaded = response.status_code in _TRY_ANOTHER
            if overloaded and repeatable and not self._is_last(attempt, service, began):
                await self._pause(attempt)
                continue
            return response

    async def _send(
        self, method: str, service: str, path: str, headers: dict[str, str], options: dict[str, Any]
    ) -> httpx2.Response:
        headers.update(await self._credentials(service))
        if service == SECRETS_MANAGER:
            if self._issuer is None:
                raise PeerUnavailable(service, "this service has no way there")
            return await self._issuer.request(method, path, headers=headers, **options)
        url = await self._discovery.resolve(service)
        breaker = self._breaker(url)
        if not breaker.allows(self._monotonic()):
            self._discovery.failed(url)
            raise httpx2.ConnectError("circuit open")
        if self._client is None:
            self._client = self._connections.client()
        try:
            response = await self._client.request(
                method, url + path, headers={**outgoing_headers(), **headers}, **options
            )
        except httpx2.TransportError:
            breaker.failed(self._monotonic())
            self._discovery.failed(url)
            raise
        if response.status_code in _TRY_ANOTHER:
            breaker.failed(self._monotonic())
            self._discovery.failed(url)
        else:
            breaker.succeeded()
            self._discovery.answered(url)
        return response

    @asynccontextmanager
    async def stream(
        self, method: str, service: str, path: str, *, headers: dict[str, str] | None = None, **options: Any
    ) -> AsyncIterator[httpx2.Response]:
        """Send one request whose answer is read as it comes; nothing is tried again.

        Raises:
            PeerUnavailable: nobody answers.
            InvalidName: that is no name of a service.
        """
        service = service_name(service)
        if service == SECRETS_MANAGER:
            raise PeerUnavailable(service, "it is not spoken to but by its own client")
        sent = {**outgoing_headers(), **(headers or {}), **(await self._credentials(service))}
        url = await self._discovery.resolve(service)
        if self._client is None:
            self._client = self._connections.client()
        try:
            async with self._client.stream(method, url + path, headers=sent, **options) as response:
                if response.status_code == 401 and self._tokens is not None:
                    self._tokens.forget(service)
                yield response
        except httpx2.TransportError as error:
            self._discovery.failed(url)
            raise PeerUnavailable(service, type(error).__name__) from None

    def _is_last(self, attempt: int, service: str, began: float) -> bool:
        if attempt < ATTEMPTS:
            return False
        in_time = self._monotonic() - began < MORE_SECONDS
        return not in_time or attempt >= min(MOST_ATTEMPTS, self._discovery.known(service))

    async def _credentials(self, service: str) -> dict[str, str]:
        if self._tokens is None:
            return {}
        try:
            return {"Authorization": f"Bearer {await self._tokens.token(service)}"}
        except Unavailable:
            raise
        except Problem as problem:
            # What is wrong with us is not what is wrong with whoever asked us.
            raise PeerUnavailable(service, problem.detail or problem.title) from None

    def _breaker(self, url: str) -> Breaker:
        # A process that was started again is where the last one failed, and has not.
        who = self._discovery.who(url)
        breaker = self._breakers.get(who)
        if breaker is None:
            if len(self._breakers) >= _MAX_BREAKERS:
                self._breakers.pop(next(iter(self._breakers)))
            breaker = self._breakers[who] = Breaker()
        return breaker

    @staticmethod
    async def _pause(attempt: int) -> None:
        await asyncio.sleep(PAUSE_SECONDS * min(attempt, ATTEMPTS) * (0.5 + random.random()))  # noqa: S311 - spreads load

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None
