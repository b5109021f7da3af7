"""What a holder of secrets says to the Secrets Manager."""

import asyncio
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import quote

import httpx2

from fountain_common.errors import Problem
from fountain_common.issuer import NAME

INSTANCE_HEADER = "X-Fountain-Instance"
GOODBYE_SECONDS = 2.0
_NO_ETAG = '"was-here"'
"""Matches no state of any secrets."""


class SecretsSource(Protocol):
    """Sends a request to the Secrets Manager with this service's token."""

    async def request(
        self, method: str, service: str, path: str, *, headers: dict[str, str] | None = None, **options: Any
    ) -> httpx2.Response:
        """See `http.Peers.request`."""
        ...


class Holder:
    """One process as a holder of one service's secrets: it reads, acknowledges and says goodbye.

    Args:
        service: whose secrets.
        instance_id: names this process.
        peers: the way to the Secrets Manager.
    """

    def __init__(self, service: str, instance_id: str, peers: SecretsSource) -> None:
        self._instance_id, self._peers = instance_id, peers
        self._path = f"/secrets/{quote(service, safe='')}"
        self._etag: str | None = None
        self._has_held = self._may_be_known = False

    async def read(self) -> httpx2.Response:
        """Read all that is honoured, as a holder from now on; 304 if nothing has changed since `keep`."""
        headers = {INSTANCE_HEADER: self._instance_id}
        if self._has_held:
            # Without this header we would count as a fresh instance, which uses what it is handed. We may
            # still use what we had before, even where the Secrets Manager does not know us any more.
            headers["If-None-Match"] = self._etag or _NO_ETAG
        # From here on, whatever becomes of the answer.
        self._may_be_known = True
        return await self._peers.request("GET", NAME, self._path, headers=headers)

    def keep(self, etag: str | None) -> None:
        """Ask from now on for what differs from this state, which is held."""
        self._etag, self._has_held = etag, True

    def forget(self) -> None:
        """Ask for everything the next time."""
        self._etag = None

    async def read_version(self, number: int) -> httpx2.Response:
        """Read one version; this makes nobody a holder."""
        return await self._peers.request("GET", NAME, self._path, params={"version": number})

    async def acknowledge(self, version: int, phase: str) -> int:
        """Say that a version is accepted, or used; answers the status."""
        response = await self._peers.request(
            "POST",
            NAME,
            f"{self._path}/versions/{version}/ack",
            headers={INSTANCE_HEADER: self._instance_id},
            json={"phase": phase},
        )
        return response.status_code

    async def leave(self) -> None:
        """Say goodbye, so that no rotation waits for us; once, and only where we may be known."""
        if not self._may_be_known:
            return
        self._may_be_known = False
        with suppress(Problem, httpx2.HTTPError, TimeoutError):
            async with asyncio.timeout(GOODBYE_SECONDS):
                await self._peers.request("DELETE", NAME, f"{self._path}/holders/{self._instance_id}")
