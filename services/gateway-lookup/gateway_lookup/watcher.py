"""The gateway's own clock: sweeps leases, asks every instance how it is, and fetches what each service can
do.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from fountain_common.logging import get_logger

from gateway_lookup import files
from gateway_lookup.catalog import site
from gateway_lookup.fetch import Fetcher
from gateway_lookup.leases import Key, Lease
from gateway_lookup.observations import Observations, read_health, read_openapi
from gateway_lookup.service import Gateway
from gateway_lookup.vigil import Vigil

AT_ONCE = 32
PROBES_PER_SECOND = 200
"""With more than a thousand instances a round takes longer, so that asking never crowds out answering."""


LONG = 32 * 1024
"""What is longer is read beside the loop: nobody waits for it."""


class Watcher:
    """Runs its loops while the gateway runs; a failure in one round is logged and the next round comes.

    Args:
        gateway: the registry.
        fetcher: reaches leased addresses.
        seen: takes what is found.
    """

    def __init__(self, gateway: Gateway, fetcher: Fetcher, seen: Observations) -> None:
        files.raise_limit()
        self._gateway, self._fetcher, self._seen = gateway, fetcher, seen
        self._vigil = Vigil(gateway, self._probe)
        self._gate = asyncio.Semaphore(AT_ONCE)
        # Those that are silent take two seconds each: few at a time, the last would be found for long.
        self._confirming = asyncio.Semaphore(files.many())
        self._tasks: list[asyncio.Task[None]] = []
        self._met: set[tuple[str, str]] = set()

    async def start(self) -> None:
        """Begin."""
        settings = self._gateway.settings
        rounds: tuple[tuple[str, float, Callable[[], Awaitable[None]]], ...] = (
            ("sweep", settings.sweep_seconds, self.sweep),
            ("probe", settings.probe_seconds, self.probe_all),
            ("describe", settings.describe_seconds, self.describe_all),
            ("welcome", settings.sweep_seconds, self.welcome),
            ("vigil", settings.vigil_seconds, self._vigil.follow),
        )
        self._tasks = [asyncio.create_task(_repeat(*each), name=each[0]) for each in rounds]

    async def stop(self) -> None:
        """End."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
        await self._vigil.stop()
        await self._fetcher.close()

    async def sweep(self) -> None:
        """Look for leases that have run out."""
        await self._gateway.sweep(self.answers)

    async def answers(self, lease: Lease) -> bool:
        """Tell whether an instance is there at all: any answer will do."""
        async with self._confirming:
            return await self._fetcher.answers(lease.claim)

    async def look_again(self, key: Key, claimant: str) -> None:
        """Ask an instance at whose address one of the service `claimant` says that it is: an address may have
        been dealt anew.
        """
        lease = self._gateway.registry.leases.get(key)
        if lease is None:
            return
        async with self._gate:
            elsewhere = await self._fetcher.is_elsewhere(lease.claim, claimant)
        if elsewhere:
            self._gateway.misplaced(key)
        else:
            await self._probe(lease)

    async def probe_all(self) -> None:
        """Ask every instance how it is."""
        live = [lease for lease in self._gateway.registry.leases.values() if not lease.expired]
        self._seen.keep_only(set(self._gateway.registry.leases))
        for first in range(0, len(live), AT_ONCE):
            if first:
                await asyncio.sleep(AT_ONCE / PROBES_PER_SECOND)
            await asyncio.gather(*(self._probe(lease) for lease in live[first : first + AT_ONCE]))
        missing = {lease.claim.service for lease in live} - self._seen.openapi.keys()
        await asyncio.gather(*(self._describe(name) for name in missing))

    async def welcome(self) -> None:
        """Ask those that nobody has asked yet, so that a new service is on the portal at once."""
        registry = self._gateway.registry
        new = [
            lease
            for lease in registry.leases.values()
            if not lease.expired and lease.claim.key not in self._seen.health
        ]
        # Those of a new service come first. Of thousands at once, the others are the rounds' to ask.
        known = {service for service, _ in self._seen.health}
        new.sort(key=lambda lease: lease.claim.service in known)
        await asyncio.gather(*(self._probe(lease) for lease in new[:PROBES_PER_SECOND]))
        versions = {
            (lease.claim.service, lease.claim.version)
            for lease in registry.leases.values()
            if not lease.expired
        }
        unmet = versions - self._met
        self._met = versions
        await asyncio.gather(*(self._describe(name) for name, _ in unmet))

    async def describe_all(self) -> None:
        """Fetch every service's OpenAPI document."""
        await asyncio.gather(*(self._describe(name) for name in self._gateway.registry.names()))

    async def _probe(self, lease: Lease) -> None:
        async with self._gate:
            fetched = await self._fetcher.get(lease.claim, "/health")
        health = read_health(fetched, lease.claim.service, self._gateway.is_name)
        self._seen.health[lease.claim.key] = health
        if health.misplaced:
            self._gateway.misplaced(lease.claim.key)
        else:
            self._gateway.probed(lease.claim.key, health.well)

    async def _describe(self, name: str) -> None:
        for lease in self._gateway.registry.live(name)[:2]:
            async with self._gate:
                fetched = await self._fetcher.get(lease.claim, "/openapi.json")
            server = site(self._gateway.settings, name)
            if fetched is not None and len(fetched.body) > LONG:
                description = await asyncio.to_thread(read_openapi, fetched, server)
            else:
                description = read_openapi(fetched, server)
            if description is not None:
                if description.note:
                    get_logger().warning("openapi_not_shown", registered=name, reason=description.note)
                self._seen.openapi[name] = description
                return


async def _repeat(name: str, seconds: float, once: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await once()
        except Exception as error:  # noqa: BLE001 - whatever one round met, the next one comes
            get_logger().error("watch_round_failed", round=name, exc_info=error)
        await asyncio.sleep(seconds)
