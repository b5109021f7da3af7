"""The catalogue: every service, as people and programs see it. No address of the inside is in it."""

from collections import Counter
from collections.abc import Iterable
from itertools import islice

from fountain_common.names import PLATFORM

from gateway_lookup.leases import Lease, State
from gateway_lookup.observations import Observations
from gateway_lookup.registry import Registry
from gateway_lookup.schemas import Catalog, CatalogLinks, CatalogService
from gateway_lookup.settings import GatewaySettings

SECTION = 300
MOST_SHOWN = 500
"""Nobody reads ten thousand cards, and to make them takes a third of a second from everybody else."""


def site(settings: GatewaySettings, name: str = "") -> str:
    """Return the public URL of a service, or of the portal. Made from the name alone, never from what a
    service says.
    """
    host = f"{name}.{settings.domain}" if name else settings.domain
    return f"https://{host}" if settings.https_port == 443 else f"https://{host}:{settings.https_port}"


def links(settings: GatewaySettings, name: str) -> CatalogLinks:
    """Return the links of a service."""
    base = site(settings, name)
    return CatalogLinks(
        site=f"{base}/", docs=f"{base}/docs", health=f"{base}/health", openapi=f"{base}/openapi.json"
    )


MOST_DESCRIBED = 200
"""Each has its place in a header that says where the page may send requests."""


class Catalogue:
    """Makes the catalogue from the registry and from what was seen.

    Args:
        settings: names the domain.
        registry: who is registered.
        seen: how they are.
    """

    def __init__(self, settings: GatewaySettings, registry: Registry, seen: Observations) -> None:
        self._settings, self._registry, self.seen = settings, registry, seen

    def catalog(self) -> Catalog:
        """Return every service, by name."""
        return self._of(self._registry.names())

    def shown(self) -> tuple[Catalog, int]:
        """Return what a page has room for, the platform's own among it, and how many more there are."""
        names = self._registry.names()
        if len(names) <= MOST_SHOWN:
            return self._of(names), 0
        first = [name for name in names if name in PLATFORM]
        rest = (name for name in names if name not in PLATFORM)
        return self._of([*first, *islice(rest, MOST_SHOWN - len(first))]), len(names) - MOST_SHOWN

    def _of(self, names: Iterable[str]) -> Catalog:
        return Catalog(domain=self._settings.domain, services=[self.service(name) for name in names])

    def service(self, name: str) -> CatalogService:
        """Return one service; what it says of itself is cut to a sane length and is text, never markup."""
        held = self._registry.instances(name)
        about = (
            "Its address is a setting." if name in self._registry.pinned else "Entered by an administrator."
        )
        newest = max(held, key=lambda lease: (not lease.expired, lease.claim.generation), default=None)
        status, degraded = self._status(held)
        return CatalogService(
            service_name=name,
            title=(newest.claim.title if newest else "") or name,
            description=(newest.claim.description if newest else about)[:SECTION],
            version=newest.claim.version if newest else "",
            status=status,
            degraded=degraded,
            instances=dict(Counter(lease.state.value for lease in held)),
            links=links(self._settings, name),
        )

    def described(self) -> tuple[list[CatalogService], int]:
        """Return the services whose OpenAPI document is at hand, so many as a page has room for, and how many
        more there are.
        """
        known = self._registry.lookup
        names = [name for name, seen in self.seen.openapi.items() if seen.body and known(name) is not None]
        names.sort(key=lambda name: (name not in PLATFORM, name))
        shown = sorted(names[:MOST_DESCRIBED])
        return [self.service(name) for name in shown], len(names) - len(shown)

    def _status(self, held: list[Lease]) -> tuple[str, list[str]]:
        states = {lease.state for lease in held}
        seen = [
            health
            for lease in held
            if (health := self.seen.health.get(lease.claim.key)) and not lease.expired
        ]
        degraded = sorted({word for health in seen for word in health.degraded})
        if not held:
            return "unknown", []
        if states == {State.EXPIRED}:
            return "expired", []
        if State.UP not in states:
            return ("draining" if State.DRAINING in states else "unhealthy"), degraded
        if not any(health.well for health in seen):
            return ("unhealthy" if seen else "unknown"), degraded
        down = State.DOWN in states or not all(health.well for health in seen)
        return ("degraded" if degraded or down else "healthy"), degraded
