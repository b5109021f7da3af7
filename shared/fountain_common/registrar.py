"""Makes an instance known at the gateway, and keeps it known as long as it runs."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

import httpx2

from fountain_common.cancelling import end_if_cancelled
from fountain_common.errors import Problem, Unavailable
from fountain_common.http import Peers
from fountain_common.logging import get_logger

RENEW_SECONDS = 10.0
FIRST_RETRY_SECONDS = 0.5
LONGEST_RETRY_SECONDS = 5.0
ANNOUNCE_SECONDS = 2.0
LEASE_HEADER = "X-Fountain-Lease"
_LEASE_LOST = frozenset({403, 404, 409, 410, 412})


def pause(registered: bool, failures: int, renew_seconds: float, luck: float) -> float:
    """Return the seconds until the next renewal, or until the next try of one that failed (pure).

    Args:
        registered: whether the last one succeeded.
        failures: how many have failed in a row since the first that did.
        renew_seconds: how often the registry wants to hear of us.
        luck: from 0 to 1, another at each call: it keeps a thousand instances from coming at one moment.
    """
    if registered:
        return renew_seconds * (0.8 + 0.2 * luck)
    return min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2.0 ** min(failures, 10)) * (0.5 + 0.5 * luck)


class LeaseLostError(Exception):
    """The registry does not honour our lease (any more)."""


class Registry(Protocol):
    """Where instances are registered."""

    async def register(
        self, service: str, instance_id: str, body: Mapping[str, Any], lease_secret: str | None
    ) -> Mapping[str, Any]:
        """Register or renew. Raises LeaseLostError, or a Problem when it cannot be done now."""
        ...

    async def deregister(self, service: str, instance_id: str, lease_secret: str) -> None:
        """Remove the instance."""
        ...


class GatewayRegistry:
    """The gateway's registry."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    async def register(
        self, service: str, instance_id: str, body: Mapping[str, Any], lease_secret: str | None
    ) -> Mapping[str, Any]:
        """Send `PUT /registry/{serviceName}/instances/{instanceId}`; see `Registry`."""
        headers = {} if lease_secret is None else {LEASE_HEADER: lease_secret}
        response = await self._peers.put(
            "gateway-lookup", f"/registry/{service}/instances/{instance_id}", json=dict(body), headers=headers
        )
        if response.status_code in (200, 201):
            try:
                answer = response.json()
            except ValueError:
                raise Unavailable("The gateway's answer to the registration cannot be read.") from None
            return answer if isinstance(answer, dict) else {}
        if response.status_code in _LEASE_LOST:
            raise LeaseLostError(str(response.status_code))
        raise Unavailable(f"The gateway answered {response.status_code} to the registration.")

    async def deregister(self, service: str, instance_id: str, lease_secret: str) -> None:
        """Send `DELETE /registry/{serviceName}/instances/{instanceId}`."""
        await self._peers.delete(
            "gateway-lookup",
            f"/registry/{service}/instances/{instance_id}",
            headers={LEASE_HEADER: lease_secret},
        )


class Registrar:
    """Holds the lease of one instance.

    It is renewed every ten seconds, with jitter, so that a gateway which comes back is not met by everybody
    at once. A lease that is not honoured any more is replaced by a new one of a higher generation.

    Args:
        registry: where.
        service: our name.
        instance_id: of this process.
        port: where we listen; the address is the one that the gateway sees.
        scheme: "http" or "https".
        hosts: more subdomains.
        clock: unix seconds, for the generation.
    """

    def __init__(
        self,
        registry: Registry,
        service: str,
        instance_id: str,
        port: int,
        *,
        scheme: str = "http",
        hosts: Sequence[str] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._registry, self._service, self._instance_id, self._clock = registry, service, instance_id, clock
        self._body: dict[str, Any] = {"port": port, "scheme": scheme, "hosts": list(hosts), "status": "up"}
        self._generation = 0
        self._lease_secret: str | None = None
        self._renew_seconds = RENEW_SECONDS
        self._task: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self.registered = self._told_of_failure = False

    def __repr__(self) -> str:
        return f"<Registrar of {self._service}, {'registered' if self.registered else 'not registered'}>"

    def describe(self, title: str, description: str, version: str) -> None:
        """Say what the catalog shows of this service."""
        self._body.update(title=title, description=description, version=version)

    async def start(self) -> None:
        """Register, waiting a bounded time, and keep the lease in the background."""
        self._body["status"] = "up"
        # It belongs to its event loop, and a test client brings another at each start.
        self._lock = asyncio.Lock()
        with suppress(TimeoutError):
            async with asyncio.timeout(ANNOUNCE_SECONDS):
                await self._renew()
        self._task = asyncio.create_task(self._keep(), name="lease")

    async def drain(self) -> None:
        """Tell the gateway to send nobody here any more; those who are here are still served."""
        self._body["status"] = "draining"
        if self.registered:
            with suppress(TimeoutError):
                async with asyncio.timeout(ANNOUNCE_SECONDS):
                    await self._renew()

    async def stop(self) -> None:
        """Leave."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        if self._lease_secret is not None:
            with suppress(Problem, httpx2.HTTPError, TimeoutError):
                async with asyncio.timeout(ANNOUNCE_SECONDS):
                    await self._registry.deregister(self._service, self._instance_id, self._lease_secret)
        self.registered, self._lease_secret = False, None

    async def _keep(self) -> None:
        failures = 0
        while True:
            luck = random.random()  # noqa: S311 - spreads load
            await asyncio.sleep(pause(self.registered, failures, self._renew_seconds, luck))
            await self._renew()
            failures = 0 if self.registered else failures + 1

    async def _renew(self) -> None:
        async with self._lock:
            failure = await self._try()
            # A registry may have made another error of our cancellation, or nothing.
            end_if_cancelled()
            self._conclude(failure)

    async def _try(self) -> BaseException | None:
        try:
            await self._register()
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - whatever it was, another try is made
            # Whatever it was, the lease runs out unless it is renewed: another try is made.
            return error
        return None

    def _conclude(self, failure: BaseException | None) -> None:
        was, self.registered = self.registered, failure is None
        if failure is None:
            if not was:
                get_logger().info("registered", generation=self._generation)
            self._told_of_failure = False
        elif isinstance(failure, LeaseLostError):
            # Another try is made soon, as somebody new.
            self._lease_secret = None
            get_logger().warning("lease_not_honoured", status=str(failure))
        elif isinstance(failure, Problem | httpx2.HTTPError):
            if not self._told_of_failure:
                reason = failure.detail if isinstance(failure, Problem) else type(failure).__name__
                get_logger().warning("registration_failed", reason=reason)
            self._told_of_failure = True
        else:
            get_logger().error("registration_failed", reason=type(failure).__name__, exc_info=failure)

    async def _register(self) -> None:
        if self._lease_secret is None:
            self._generation = max(self._generation + 1, int(self._clock() * 1000))
        answer = await self._registry.register(
            self._service,
            self._instance_id,
            {**self._body, "generation": self._generation},
            self._lease_secret,
        )
        if answer.get("lease_secret"):
            self._lease_secret = str(answer["lease_secret"])
        self._renew_seconds = min(RENEW_SECONDS, float(answer.get("renew_seconds") or RENEW_SECONDS))
