"""Sending one delivery to a webhook, under the guard of `ssrf`; `service_sender` sends to services."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Protocol

import httpx2
from fountain_common.requests import resolve_host

from notification.ssrf import Address, Network, Refused, Target, choose, literal, parse

MAX_ANSWER_BYTES = 2048
MAX_READ_BYTES = 8 * MAX_ANSWER_BYTES
"""So much of an answer is read that its connection can be used again; from a longer one it is cut off."""
RESOLVE_SECONDS = 5.0
CONTENT_TYPE = "application/cloudevents+json"
USER_AGENT = "FountainAI-Notification/1"

Resolve = Callable[[str], Awaitable[Iterable[str]]]


class NotSent(Exception):
    """No answer came; says why, in words that are fit for the subscription's owner."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver answered.

    Attributes:
        status: the HTTP status.
        body: its first 2 KB.
        retry_after: the header, if it came.
    """

    status: int
    body: bytes = b""
    retry_after: str | None = None


class Sender(Protocol):
    """A way to one receiver."""

    async def send(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send once. Raises `NotSent`."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class Guard:
    """Finds the address that a webhook may go to.

    Args:
        allowed: networks that are fit although they are not public.
        resolve: answers all addresses of a name.
    """

    def __init__(self, allowed: Iterable[Network], resolve: Resolve = resolve_host) -> None:
        self._allowed, self._resolve = tuple(allowed), resolve

    async def find(self, url: str) -> tuple[Target, Address]:
        """Return where a URL leads, resolved now.

        Raises:
            Refused: it may not be sent to.
            NotSent: its name cannot be resolved.
        """
        target = parse(url)
        fixed = literal(target.host)
        addresses = [fixed] if fixed is not None else await self._addresses(target.host)
        return target, choose(target, addresses, self._allowed)

    async def _addresses(self, host: str) -> list[Address]:
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                return [ip_address(found.partition("%")[0]) for found in await self._resolve(host)]
        except (OSError, TimeoutError, UnicodeError):
            raise NotSent(f"The name {host} cannot be resolved.") from None


class WebhookSender:
    """Sends to one callback URL.

    It has connections of its own: the pool knows them by address alone, and two names at one address must not
    share a connection whose certificate was verified for the other.

    Args:
        url: where to.
        guard: is asked at each send.
        timeout_seconds: for everything from the name to the last byte.
        tls: what certificates are verified against.
    """

    def __init__(self, url: str, guard: Guard, timeout_seconds: float, tls: ssl.SSLContext) -> None:
        self._url, self._guard, self._timeout_seconds = url, guard, timeout_seconds
        # Neither proxies of the environment nor redirects: both would go where the guard has not looked.
        self._client = httpx2.AsyncClient(
            verify=tls, timeout=timeout_seconds, trust_env=False, follow_redirects=False
        )

    async def send(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send once; see `Sender`."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                target, address = await self._guard.find(self._url)
                return await self._post(target, address, headers, body)
        except Refused as refused:
            raise NotSent(str(refused)) from None
        except (TimeoutError, httpx2.TimeoutException):
            raise NotSent(f"No answer within {self._timeout_seconds:g} seconds.") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, ssl.SSLError, OSError) as error:
            raise NotSent(f"The connection failed: {type(error).__name__}.") from None

    async def _post(
        self, target: Target, address: Address, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        sent = {**headers, "Host": target.authority, "Content-Type": CONTENT_TYPE, "User-Agent": USER_AGENT}
        request = self._client.build_request(
            "POST",
            target.at(address),
            content=body,
            headers={**sent, "Accept-Encoding": "identity"},
            extensions={"sni_hostname": target.host} if target.scheme == "https" else {},
        )
        response = await self._client.send(request, stream=True)
        try:
            return Answer(
                response.status_code, await _beginning(response), response.headers.get("retry-after")
            )
        finally:
            await response.aclose()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


async def _beginning(response: httpx2.Response) -> bytes:
    """Return the first 2 KB; a short rest is read too, so that the connection can be used again."""
    kept = b""
    async for part in response.aiter_raw():
        kept += part
        if len(kept) > MAX_READ_BYTES:
            break
    return kept[:MAX_ANSWER_BYTES]


def default_tls() -> ssl.SSLContext:
    """Return a context that verifies public certificates, and names."""
    context = ssl.create_default_context()
    with suppress(NotImplementedError):
        context.set_alpn_protocols(["http/1.1"])
    return context
