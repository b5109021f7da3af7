"""The gateway's work: rules from `leases`, memory in `registry`, rows in `repository`, in the order that
loses nothing.

A change is committed first and shown then. A renewal changes nothing that is stored, so it touches memory
alone: ten thousand instances that come back after our restart cost no write.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from fountain_common.db import Database
from fountain_common.errors import Conflict, Forbidden, NotFound, Unprocessable
from fountain_common.issuer import NAME as SECRETS_MANAGER
from fountain_common.logging import get_logger
from fountain_common.names import PLATFORM
from fountain_common.outbox import enqueue
from sqlalchemy.orm import Session

from gateway_lookup import leases, repository
from gateway_lookup.addresses import host_labels, instance_host, static_place
from gateway_lookup.leases import Claim, Granted, Key, Lease
from gateway_lookup.lookups import StaticEntry
from gateway_lookup.registry import Registry, restore
from gateway_lookup.settings import GatewaySettings

WEEK = timedelta(days=7)

_Owning = tuple[str, list[Lease], list[StaticEntry]]
"""A name that is given to its service, and what others hold without it."""
Probe = Callable[[Lease], Awaitable[bool]]


class Gateway:
    """One registry, its database and its rules.

    Args:
        settings: the gateway's own.
        db: where leases and entries survive.
        monotonic: seconds, for leases.
    """

    def __init__(
        self, settings: GatewaySettings, db: Database, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.settings, self.db, self.monotonic = settings, db, monotonic
        pinned = {SECRETS_MANAGER: settings.pinned_issuer_url} if settings.pinned_issuer_url else {}
        self.registry = Registry(pinned={name: url.rstrip("/") for name, url in pinned.items()})
        self._changing = asyncio.Lock()
        self._asked: set[str] = set()

    async def load(self) -> None:
        """Take up what was stored; every lease gets one full term."""
        stored, statics, owned = await self.db.read(
            lambda session: (
                repository.all_leases(session),
                repository.all_statics(session),
                repository.all_owned(session),
            ),
            long=True,
        )
        now = self.monotonic()
        restore(
            self.registry,
            (leases.restored(lease, now, self.settings.lease_seconds) for lease in stored),
            statics,
            owned,
        )
        get_logger().info("registry_loaded", leases=len(stored), static_entries=len(statics))

    async def register(self, claim: Claim, secret: str | None) -> Granted:
        """Register an instance or renew its lease; durable when it returns, seen by everybody.

        The claim is one that `admitted` has let pass, or our own.

        Raises:
            Conflict, Forbidden: see `leases.register`.
        """
        held = self.registry.leases.get(claim.key)
        if held is not None and not held.expired and claim.hosts:
            # A service goes on running though a subdomain that it asked for has got its rightful owner.
            claim = claim.without({label for label in claim.hosts if label in self.registry.owned})
        if held is not None and held.claim == claim and not held.expired:
            # Nothing changes but the clock.
            granted = self._rule(claim, secret)
            self.registry.put(granted.lease)
            return granted
        self._asked.add(claim.service)
        async with self._changing:
            self._check_owner(claim.service, claim.hosts)
            granted = self._rule(claim, secret)
            fresh = granted.secret is not None or (held is not None and held.expired)
            displaced = [self.registry.leases[key] for key in granted.displaced]
            store = partial(_store, granted=granted, displaced=displaced, announce=fresh)
            await self.db.write(partial(_owning, store=store, names=self._to_own(claim.service)))
            self._own(claim.service)
            for key in granted.displaced:
                self.registry.remove(key)
            self.registry.put(granted.lease)
        if fresh:
            get_logger().info(
                "instance_registered", registered=claim.service, instance_id=claim.instance, url=claim.url
            )
        return granted

    def admitted(self, said: Claim, peer: str) -> Claim:
        """Return the claim that an instance may make: what it says, at the address that it connects from.

        Args:
            said: its words; the host in it is not looked at.
            peer: the address of the TCP peer.

        Raises:
            Forbidden: another's name, or an address where no service can be.
            Conflict, Unprocessable: a further subdomain or a scheme that it cannot have.
        """
        if said.identity != said.service:
            raise Forbidden(f"An instance registers under its own identity; yours is {said.identity}.")
        if said.scheme == "https" and said.service != SECRETS_MANAGER:
            raise Unprocessable(
                "Services speak plain HTTP inside: only the Secrets Manager serves TLS. Register as http."
            )
        local, reserved = self.settings.runtime == "local", self.settings.reserved_ports
        host = instance_host(peer, said.port, local=local, reserved_ports=reserved)
        return replace(said, host=host, hosts=host_labels(said.service, said.hosts))

    def is_name(self, name: str) -> bool:
        """Tell whether a name is a service's: one that is registered, or that an identity has asked for."""
        return self.registry.knows(name) or name in self.registry.owned or name in self._asked

    async def deregister(self, key: Key, identity: str, secret: str | None) -> None:
        """Give up a lease; one that is not there is given up already."""
        async with self._changing:
            held = self.registry.leases.get(key)
            if held is None:
                return
            leases.check_release(held, identity, secret)
            await self.db.write(partial(_drop, gone=[held], reason="deregistered"))
            self.registry.remove(key)
        get_logger().info("instance_deregistered", registered=key[0], instance_id=key[1])

    async def sweep(self, probe: Probe) -> None:
        """Look at the clock once; a mass expiry is put to the probe first."""
        found = leases.sweep(
            self.registry.leases.values(), self.monotonic(), self.settings.lease_seconds * 10
        )
        for key in found.forgotten:
            self.registry.remove(key)
        expired = list(found.expired)
        if found.suspects:
            get_logger().warning("mass_expiry_suspected", leases=len(found.suspects))
            expired += await self._confirm(found.suspects, probe)
        if expired:
            async with self._changing:
                # One that renewed while we waited is not late any more.
                expired = [lease for lease in expired if self._still_late(lease)]
                await self._expire(expired)
                for lease in expired:
                    get_logger().warning(
                        "lease_expired", registered=lease.claim.service, instance_id=lease.claim.instance
                    )

    async def _expire(self, expired: list[leases.Lease]) -> None:
        # Marked before it is written: one that renews meanwhile then waits for its turn to register anew, in
        # place of being overwritten.
        before = [self.registry.leases[lease.claim.key] for lease in expired]
        for lease in expired:
            self.registry.put(lease)
        try:
            await self.db.write(partial(_drop, gone=expired, reason="expired"))
        except BaseException:
            for lease in before:
                self.registry.put(lease)
            raise

    def probed(self, key: Key, well: bool) -> None:
        """Take note of a probe's outcome."""
        held = self.registry.leases.get(key)
        if held is not None and not held.expired:
            self.registry.put(leases.probed(held, well))

    def lost(self, key: Key) -> None:
        """Take note that an instance takes no connection."""
        held = self.registry.leases.get(key)
        if held is not None and not held.expired:
            self.registry.put(leases.lost(held))

    def misplaced(self, key: Key) -> None:
        """Take note that another service answers at an instance's address."""
        held = self.registry.leases.get(key)
        if held is not None and not held.expired:
            get_logger().warning("address_dealt_anew", registered=key[0], instance_id=key[1])
            self.registry.put(leases.misplaced(held))

    async def put_static(self, entry: StaticEntry, *, create: bool) -> None:
        """Add or replace a static entry.

        Raises:
            Conflict: it exists and was to be created, or the name or a label is somebody's.
            Unprocessable, Forbidden: the URL is not one where a service can be.
        """
        name = entry.service_name
        if name in PLATFORM:
            raise Conflict(f"{name} is a service of the platform and cannot have a static entry.")
        local = self.settings.runtime == "local"
        entry = replace(entry, url=static_place(entry.url, edge_host=self.settings.edge_host, local=local))
        async with self._changing:
            if create and name in self.registry.statics:
                raise Conflict(f"There is an entry for {name}; change it with PUT /registry/{name}.")
            self._check_owner(name, host_labels(name, entry.hosts))
            store = partial(repository.save_static, entry=entry)
            await self.db.write(partial(_owning, store=store, names=self._to_own(name)))
            self._own(name)
            self.registry.set_static(entry)

    async def remove_static(self, name: str) -> None:
        """Remove a static entry; NotFound if there is none. The name stays its service's."""
        async with self._changing:
            if name not in self.registry.statics:
                raise NotFound(f"There is no static entry for {name}. Instances leave by themselves.")
            await self.db.write(partial(repository.remove_static, name=name))
            self.registry.remove_static(name)

    async def forget(self, name: str) -> None:
        """Remove a static entry, or where there is none, free the name of a service that is gone.

        Raises:
            NotFound: there is neither, or instances live under the name.
        """
        if name in self.registry.statics or name in PLATFORM:
            await self.remove_static(name)
            return
        async with self._changing:
            if self.registry.live(name) or name not in self.registry.owned:
                raise NotFound(f"There is no static entry for {name}. Instances leave by themselves.")
            await self.db.write(partial(repository.free_name, name=name))
            self.registry.disown(name)
        get_logger().warning("name_freed", registered=name)

    async def may_have_certificate(self, domain: str) -> bool:
        """Tell whether the edge may get a certificate for a host name."""
        label = self.label_of(domain)
        if label is None:
            return False
        if self.settings.tls == "local":
            return True
        service = self.registry.service_at(label)
        if service is None or not self.registry.live(service):
            return False
        now = datetime.now(UTC)
        allowed = partial(
            repository.allow_name,
            name=domain.lower(),
            service=service,
            now=now,
            since=now - WEEK,
            limits=(self.settings.acme_names_per_week, self.settings.acme_names_per_service),
        )
        return await self.db.write(allowed)

    def label_of(self, host: str) -> str | None:
        """Return the single label below the domain that a Host header names; None for anything else."""
        name = host.lower().partition(":")[0]
        label, dot, parent = name.partition(".")
        if (
            not dot
            or parent != self.settings.domain
            or not label.replace("-", "").isalnum()
            or not label.isascii()
        ):
            return None
        return label if len(label) <= 63 else None

    def _rule(self, claim: Claim, secret: str | None) -> Granted:
        held, neighbours = self.registry.leases.get(claim.key), self.registry.at(claim.address)
        return leases.register(held, neighbours, claim, secret, self.monotonic(), self.settings.lease_seconds)

    def _to_own(self, name: str) -> _Owning | None:
        return None if name in self.registry.owned else (name, *self.registry.besides(name))

    def _own(self, name: str) -> None:
        # Asked again: somebody may have renewed while we waited for the disk.
        if name not in self.registry.owned:
            self.registry.own(name)

    def _check_owner(self, service: str, labels: Iterable[str]) -> None:
        for label in labels:
            owner = self.registry.service_at(label)
            if owner is not None and owner != service:
                raise Conflict(
                    f"The subdomain {label} belongs to another service, even while that does not run. "
                    f"If it is gone for good, an admin frees it with DELETE /registry/{label}."
                )

    async def _confirm(self, suspects: Iterable[Lease], probe: Probe) -> list[Lease]:
        async def ask(lease: Lease) -> tuple[Lease, bool]:
            return lease, await probe(lease)

        expired = []
        for lease, answered in await asyncio.gather(*(ask(lease) for lease in suspects)):
            # What was seen of it while we asked stands.
            now = self.registry.leases.get(lease.claim.key)
            if now is None or not self._still_late(lease):
                continue
            outcome = leases.confirmed(now, answered, self.monotonic(), self.settings.lease_seconds)
            if outcome.expired:
                expired.append(outcome)
            else:
                self.registry.put(outcome)
        return expired

    def _still_late(self, lease: Lease) -> bool:
        held = self.registry.leases.get(lease.claim.key)
        return (
            held is not None and held.expires_at == lease.expires_at and held.secret_hash == lease.secret_hash
        )


def _store(session: Session, granted: Granted, displaced: Iterable[Lease], announce: bool) -> None:
    claim = granted.lease.claim
    # One that has expired was told of already.
    _drop(session, [lease for lease in displaced if not lease.expired], reason="displaced")
    repository.remove_leases(session, granted.displaced)
    repository.save_lease(session, granted.lease)
    if announce:
        data = {"service_name": claim.service, "instance_id": claim.instance, "version": claim.version}
        enqueue(session, "service.registered", claim.service, data)


def _drop(session: Session, gone: Iterable[Lease], reason: str) -> None:
    for lease in gone:
        claim = lease.claim
        repository.remove_leases(session, [claim.key])
        data = {"service_name": claim.service, "instance_id": claim.instance, "reason": reason}
        enqueue(session, "service.expired", claim.service, data)


def _owning(session: Session, store: Callable[[Session], None], names: _Owning | None) -> None:
    if names is not None:
        name, leased, statics = names
        repository.own_name(session, name)
        for lease in leased:
            repository.save_lease(session, lease)
        for entry in statics:
            repository.save_static(session, entry)
    store(session)
