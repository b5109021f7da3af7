"""The registry in memory: every lease, static entry and pinned address, indexed for what is asked most.

One event loop owns it; nothing here waits. What must survive a restart is written by `service.py` first.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from gateway_lookup.leases import Key, Lease, State
from gateway_lookup.lookups import Document, StaticEntry, document
from gateway_lookup.near import near

UPSTREAMS = 4
"""So many instances are named to the edge at once: as long as one of them lives, no request fails."""
_RANK = {State.UP: 0, State.DRAINING: 1, State.DOWN: 2}


@dataclass
class Registry:
    """What is known.

    Attributes:
        pinned: URLs by service name that stand over everything else (set once, at the start).
        revision: grows with every change that somebody can see.
        owned: names that belong to their services, whether these run or not.
    """

    pinned: dict[str, str] = field(default_factory=dict)
    revision: int = 0
    owned: set[str] = field(default_factory=set)
    leases: dict[Key, Lease] = field(default_factory=dict)
    statics: dict[str, StaticEntry] = field(default_factory=dict)
    _services: dict[str, dict[str, Lease]] = field(default_factory=dict)
    _addresses: dict[tuple[str, int], set[Key]] = field(default_factory=dict)
    _labels: dict[str, str] | None = None
    _names: list[str] | None = None
    _documents: dict[str, Document] = field(default_factory=dict)
    _best: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _turn: Iterator[int] = field(default_factory=itertools.count)

    def put(self, lease: Lease) -> None:
        """Add or replace a lease."""
        key = lease.claim.key
        before = self.leases.get(key)
        if before is not None and before.claim.address != lease.claim.address:
            self._leave(before)
        self.leases[key] = lease
        self._services.setdefault(lease.claim.service, {})[lease.claim.instance] = lease
        self._addresses.setdefault(lease.claim.address, set()).add(key)
        if before is None or before.claim != lease.claim or before.state != lease.state:
            self._changed(lease.claim.service)

    def remove(self, key: Key) -> None:
        """Remove a lease, if it is there."""
        lease = self.leases.pop(key, None)
        if lease is None:
            return
        self._leave(lease)
        service = self._services[lease.claim.service]
        service.pop(lease.claim.instance, None)
        if not service:
            del self._services[lease.claim.service]
        self._changed(lease.claim.service)

    def set_static(self, entry: StaticEntry) -> None:
        """Add or replace a static entry."""
        self.statics[entry.service_name] = entry
        self._changed(entry.service_name)

    def remove_static(self, name: str) -> bool:
        """Remove a static entry; return whether it was there."""
        removed = self.statics.pop(name, None) is not None
        if removed:
            self._changed(name)
        return removed

    def at(self, address: tuple[str, int]) -> list[Lease]:
        """Return the leases at an address and port."""
        return [self.leases[key] for key in self._addresses.get(address, ())]

    def instances(self, name: str) -> list[Lease]:
        """Return a service's leases, expired ones included, oldest registration first."""
        return list(self._services.get(name, {}).values())

    def live(self, name: str) -> list[Lease]:
        """Return a service's leases that have not expired, the best first: up, draining, down."""
        found = [lease for lease in self._services.get(name, {}).values() if not lease.expired]
        return sorted(found, key=lambda lease: _RANK[lease.state])

    def names(self) -> list[str]:
        """Return the name of every service that is known in any way, sorted."""
        if self._names is None:
            self._names = sorted({*self._services, *self.statics, *self.pinned})
        return self._names

    def knows(self, name: str) -> bool:
        """Tell whether a service is known in any way."""
        return name in self._services or name in self.statics or name in self.pinned

    def lookup(self, name: str) -> Document | None:
        """Return the lookup of a service, encoded; None if it is nowhere."""
        found = self._documents.get(name)
        if found is None:
            found = document(name, self.live(name), self.statics.get(name), self.pinned.get(name))
            if found is not None:
                self._documents[name] = found
        return found

    def near(self, name: str) -> list[str]:
        """Return at most three names that look like this one, of services that are somewhere."""
        return [known for known in near(name, self.names()) if self.lookup(known)]

    def service_at(self, label: str) -> str | None:
        """Return the service that a subdomain is for: the one of that name, even while it is away, then the
        one that asked for it besides.
        """
        if label in self.owned or self.knows(label):
            return label
        if self._labels is None:
            self._labels = dict(self._claimed_labels())
        return self._labels.get(label)

    def own(self, name: str) -> None:
        """Give a name to its service for good; whoever asked for it besides loses it."""
        self.owned.add(name)
        self._labels = None
        leases, statics = self.besides(name)
        for lease in leases:
            self.put(lease)
        for entry in statics:
            self.set_static(entry)

    def besides(self, name: str) -> tuple[list[Lease], list[StaticEntry]]:
        """Return what others hold who asked for a name besides their own, as it is without."""
        leases = [lease for lease in self.leases.values() if name in lease.claim.hosts]
        statics = [entry for entry in self.statics.values() if name in entry.hosts]
        return (
            [replace(lease, claim=lease.claim.without({name})) for lease in leases],
            [replace(entry, hosts=tuple(host for host in entry.hosts if host != name)) for entry in statics],
        )

    def disown(self, name: str) -> bool:
        """Free a name; return whether it was somebody's."""
        owned = name in self.owned
        self.owned.discard(name)
        self._labels = None
        return owned

    def upstreams(self, label: str) -> tuple[str, ...] | None:
        """Return some URLs for a subdomain, each call beginning with the next; None: nobody.

        They are of instances that are up. Others are named only where none is: whoever tries several at
        random would come to them, too.
        """
        name = self.service_at(label)
        if name is None:
            return None
        if name in self.statics and name not in self.pinned:
            return (self.statics[name].url,)
        best = self._best.get(name)
        if best is None:
            live = self.live(name)
            best = tuple(lease.claim.url for lease in live if lease.state is live[0].state)
            self._best[name] = best
        if not best:
            return None
        turn, count = next(self._turn), len(best)
        return tuple(best[(turn + step) % count] for step in range(min(UPSTREAMS, count)))

    def _claimed_labels(self) -> Iterator[tuple[str, str]]:
        for lease in self.leases.values():
            if not lease.expired:
                yield from ((label, lease.claim.service) for label in lease.claim.hosts)
        for entry in self.statics.values():
            yield from ((label, entry.service_name) for label in entry.hosts)

    def _leave(self, lease: Lease) -> None:
        keys = self._addresses.get(lease.claim.address)
        if keys is not None:
            keys.discard(lease.claim.key)
            if not keys:
                del self._addresses[lease.claim.address]

    def _changed(self, name: str) -> None:
        self.revision += 1
        self._documents.pop(name, None)
        self._best.pop(name, None)
        self._names = None
        self._labels = None


def restore(
    registry: Registry, leases: Iterable[Lease], statics: Iterable[StaticEntry], owned: Iterable[str] = ()
) -> None:
    """Fill the registry with what was stored."""
    for entry in statics:
        registry.set_static(entry)
    for lease in leases:
        registry.put(lease)
    taken = {label for lease in registry.leases.values() for label in lease.claim.hosts}
    taken |= {label for entry in registry.statics.values() for label in entry.hosts}
    registry.owned.update(owned)
    for name in taken & registry.owned:
        registry.own(name)
