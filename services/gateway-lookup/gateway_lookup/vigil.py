"""Notices at once that an instance has died: one idle connection to each, which its system ends with it.

A probe every few seconds would leave a dead instance among the living until the next round. The end of a
connection says nothing for certain, so that it is only the reason to knock: who does not open is down.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from fountain_common.logging import get_logger

from gateway_lookup import files
from gateway_lookup.leases import Claim, Key, Lease
from gateway_lookup.service import Gateway

KNOCK_SECONDS = 1.0
"""Inside one network an answer to a knock takes less than a millisecond."""
PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 10.0


class _Line(asyncio.Protocol):
    """A connection on which nobody speaks."""

    def __init__(self) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self.hang_up()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def hang_up(self) -> None:
        """End it from our side."""
        if self._transport is not None:
            self._transport.abort()  # type: ignore[attr-defined]


class Vigil:
    """Holds a connection to every instance, to so many at most as this process may well have files open.

    Args:
        gateway: whose instances.
        ask: asks an instance that can be reached again how it is.
    """

    def __init__(self, gateway: Gateway, ask: Callable[[Lease], Awaitable[None]]) -> None:
        self._gateway, self._ask = gateway, ask
        self._most = files.many()
        self._watched: dict[tuple[Key, str, int], asyncio.Task[None]] = {}

    async def follow(self) -> None:
        """Begin with those who have come, end with those who have gone."""
        own = self._gateway.settings.service_name
        wanted = {
            (lease.claim.key, *lease.claim.address): lease.claim
            for lease in self._gateway.registry.leases.values()
            # A listener that speaks TLS takes our silence for a handshake that failed.
            if not lease.expired and lease.claim.scheme == "http" and lease.claim.service != own
        }
        for gone in self._watched.keys() - wanted.keys():
            self._watched.pop(gone).cancel()
        for broken in [key for key, task in self._watched.items() if task.done()]:
            task = self._watched.pop(broken)
            if not task.cancelled() and (error := task.exception()):
                get_logger().error("vigil_failed", registered=broken[0][0], exc_info=error)
        for key, claim in wanted.items():
            if key not in self._watched and len(self._watched) < self._most:
                self._watched[key] = asyncio.create_task(self._watch(claim), name="vigil")

    async def stop(self) -> None:
        """End."""
        tasks = list(self._watched.values())
        self._watched.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, claim: Claim) -> None:
        loop = asyncio.get_running_loop()
        missed = 0
        ended = False
        while True:
            knocked = loop.time()
            try:
                async with asyncio.timeout(KNOCK_SECONDS):
                    _, line = await loop.create_connection(_Line, claim.host, claim.port)
            except (OSError, TimeoutError):
                if not missed:
                    get_logger().warning(
                        "instance_lost", registered=claim.service, instance_id=claim.instance, url=claim.url
                    )
                self._gateway.lost(claim.key)
                missed += 1
                await asyncio.sleep(min(LONGEST_PAUSE_SECONDS, PAUSE_SECONDS * missed))
                continue
            try:
                lease = self._gateway.registry.leases.get(claim.key)
                # Who opens after a connection has ended may be somebody else, at an address dealt anew.
                if (missed or ended) and lease is not None:
                    await self._ask(lease)
                missed = 0
                await line.ended
                ended = True
            finally:
                with contextlib.suppress(OSError):
                    line.hang_up()
            # Some servers end what is idle: they are not asked more often than once a second.
            await asyncio.sleep(max(0.0, PAUSE_SECONDS - (loop.time() - knocked)))
