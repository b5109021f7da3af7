"""Asking the gateway where a service is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

import httpx2

from fountain_common.connections import Connections
from fountain_common.errors import NotFound, Unauthenticated, Unavailable
from fountain_common.identity import TokenSource
from fountain_common.issuer import NAME as SECRETS_MANAGER
from fountain_common.requests import outgoing_headers

GATEWAY = "gateway-lookup"
LOOKUP_TIMEOUT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Instance:
    """One running instance of a service."""

    instance_id: str
    url: str
    version: str = ""
    status: str = "up"


@dataclass(frozen=True, slots=True)
class Lookup:
    """What the gateway says about a service."""

    service_name: str
    instances: tuple[Instance, ...]
    etag: str | None = None

    @classmethod
    def read(cls, document: Mapping[str, Any], etag: str | None) -> "Lookup":
        """Read the answer of `GET /lookup/{serviceName}`; an entry without instances stands for its `url`."""
        instances = tuple(
            Instance(
                str(item["instance_id"]),
                str(item["url"]).rstrip("/"),
                str(item.get("version") or ""),
                item.get("status", "up"),
            )
            for item in document.get("instances") or ()
        )
        if not instances and document.get("url"):
            instances = (Instance("", str(document["url"]).rstrip("/")),)
        return cls(str(document["service_name"]), instances, etag)


class Directory(Protocol):
    """Who knows where services are."""

    async def lookup(self, name: str, etag: str | None) -> Lookup | None:
        """Return where a service is, or None if what the ETag stands for is still so.

        Raises:
            NotFound: there is no such service.
            Unavailable: nobody answers.
        """
        ...


class GatewayDirectory:
    """Asks the gateway.

    Args:
        gateway_url: the one address that a service is given.
        connections: makes the client.
        tokens: our tokens; `secrets-manager` is asked for without one, since the first token comes from
            there.
    """

    def __init__(self, gateway_url: str, connections: Connections, tokens: TokenSource | None = None) -> None:
        self._url, self._connections = gateway_url.rstrip("/"), connections
        self.tokens = tokens
        self._client: httpx2.AsyncClient | None = None

    async def lookup(self, name: str, etag: str | None) -> Lookup | None:
        """Ask `GET /lookup/{serviceName}`; see `Directory`."""
        response = await self._ask(name, etag)
        if response.status_code == 401 and self.tokens is not None and name != SECRETS_MANAGER:
            self.tokens.forget(GATEWAY)
            response = await self._ask(name, etag)
        if response.status_code == 304:
            return None
        if response.status_code == 404:
            raise NotFound(_detail(response) or f"There is no service {name}.")
        if response.status_code != 200:
            raise Unavailable(f"The gateway answered {response.status_code} to the lookup of {name}.")
        try:
            return Lookup.read(response.json(), response.headers.get("etag"))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Unavailable(f"The gateway's answer to the lookup of {name} cannot be read.") from None

    async def _ask(self, name: str, etag: str | None) -> httpx2.Response:
        headers = outgoing_headers()
        if etag is not None:
            headers["If-None-Match"] = etag
        if self.tokens is not None and name != SECRETS_MANAGER:
            headers["Authorization"] = f"Bearer {await self._token()}"
        if self._client is None:
            self._client = self._connections.client()
        try:
            return await self._client.get(
                f"{self._url}/lookup/{quote(name, safe='')}", headers=headers, timeout=LOOKUP_TIMEOUT_SECONDS
            )
        except httpx2.TransportError:
            raise Unavailable("The gateway is not reachable.") from None

    async def _token(self) -> str:
        assert self.tokens is not None  # noqa: S101 - for the type checker
        try:
            return await self.tokens.token(GATEWAY)
        except Unauthenticated as problem:
            raise Unavailable(f"The gateway cannot be asked: {problem.detail}") from None

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None


def _detail(response: httpx2.Response) -> str:
    try:
        return str(response.json().get("detail") or "")
    except (ValueError, AttributeError):
        return ""
