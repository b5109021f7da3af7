"""The gateway's own part in the platform: what others do over the network, it does in its own process.

It serves before anybody else is there. Its identity is made by the Secrets Manager, which may come later, so
the parts of the platform that need it start behind its back.
"""

import asyncio
import socket
from collections.abc import Mapping
from typing import Any

import orjson
from fountain_common.directory import Lookup
from fountain_common.errors import NotFound, Problem
from fountain_common.logging import get_logger
from fountain_common.platform import Parts, Platform
from fountain_common.registrar import LeaseLostError

from gateway_lookup.leases import Claim
from gateway_lookup.registry import Registry
from gateway_lookup.service import Gateway
from gateway_lookup.settings import GatewaySettings

JOIN_ENDS_SECONDS = 2.0


class OwnDirectory:
    """Looks up in the registry itself; see `fountain_common.directory.Directory`."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def lookup(self, name: str, etag: str | None) -> Lookup | None:
        """Return what `GET /lookup/{serviceName}` would."""
        found = self._registry.lookup(name)
        if found is None:
            raise NotFound(f"No instance of {name} is registered.")
        return None if found.etag == etag else Lookup.read(orjson.loads(found.body), found.etag)


class OwnRegistry:
    """Registers the gateway with itself; see `fountain_common.registrar.Registry`."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def register(
        self, service: str, instance_id: str, body: Mapping[str, Any], lease_secret: str | None
    ) -> Mapping[str, Any]:
        """Register or renew."""
        claim = Claim(
            service,
            instance_id,
            identity=service,
            host=own_address(local=self._gateway.settings.runtime == "local"),
            port=int(body["port"]),
            generation=int(body["generation"]),
            version=str(body.get("version", "")),
            title=str(body.get("title", "")),
            description=str(body.get("description", "")),
            draining=body.get("status") == "draining",
        )
        try:
            granted = await self._gateway.register(claim, lease_secret)
        except Problem as problem:
            raise LeaseLostError(str(problem.status)) from None
        return {"lease_secret": granted.secret, "renew_seconds": self._gateway.settings.renew_seconds}

    async def deregister(self, service: str, instance_id: str, lease_secret: str) -> None:
        """Leave."""
        await self._gateway.deregister((service, instance_id), service, lease_secret)


def own_address(*, local: bool) -> str:
    """Return the address where the others reach this process: loopback in the local runtime, else the
    container's.
    """
    if local:
        return "127.0.0.1"
    try:
        return socket.gethostbyname(socket.gethostname())
    except OSError:
        return "127.0.0.1"


class ServesFirst(Platform):
    """A platform whose service is ready at once, and joins the others when they are there."""

    def __init__(self, settings: GatewaySettings, parts: Parts) -> None:
        super().__init__(settings, parts)
        self._joining: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Wait for nobody."""

    async def announce(self) -> None:
        """Begin to join the others."""
        self._joining = asyncio.create_task(self._join(), name="join")

    async def withdraw(self) -> None:
        """Take back what was made known, or stop trying to."""
        if self._joining is not None:
            self._joining.cancel()
            # Whatever it waits for, we do not wait for that: it ends with the process.
            await asyncio.wait([self._joining], timeout=JOIN_ENDS_SECONDS)
            self._joining = None
        await super().withdraw()

    async def _join(self) -> None:
        if self.registrar is not None:
            await self.registrar.start()
        await super().start()
        await super().announce()
        get_logger().info("joined_the_platform")
