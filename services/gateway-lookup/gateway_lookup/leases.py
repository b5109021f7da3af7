"""The rules of leases: who may register, who gives way, who has expired.

Pure: every function takes the leases that there are and the time, in seconds of a monotonic clock, and
answers what becomes of them. Nothing here reads a clock, a socket or a database.
"""

import hashlib
import hmac
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from fountain_common.errors import Conflict, Forbidden

LEASE_SECONDS = 30.0
RENEW_SECONDS = 10.0
EXPIRED_KEPT_SECONDS = 300.0
"""How long an expired lease is remembered: shown as expired, and revived by a late renewal."""
FAILURES_UNTIL_DOWN = 2
"""One lost probe is a hiccup; two in a row are a service that cannot do its job."""
MASS_LEAST, MASS_SHARE = 3, 0.5
"""So many leases running out at once look like our own trouble (a stopped clock, a cut network), not like
theirs.
"""

Key = tuple[str, str]
"""A lease's key: the service's name and the instance's id."""


class State(StrEnum):
    """How an instance stands."""

    UP = "up"
    DRAINING = "draining"
    DOWN = "down"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Claim:
    """What an instance says of itself, together with what the connection says of it."""

    service: str
    instance: str
    identity: str
    host: str
    port: int
    generation: int = 0
    scheme: str = "http"
    version: str = ""
    title: str = ""
    description: str = ""
    hosts: tuple[str, ...] = ()
    draining: bool = False

    @property
    def key(self) -> Key:
        """The key of the lease that is claimed."""
        return self.service, self.instance

    @property
    def address(self) -> tuple[str, int]:
        """The address and port where the instance answers."""
        return self.host, self.port

    @property
    def url(self) -> str:
        """The instance's base URL, an IPv6 address in brackets (RFC 3986, section 3.2.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    def without(self, labels: Collection[str]) -> "Claim":
        """Return the claim without some of the further subdomains."""
        return replace(self, hosts=tuple(label for label in self.hosts if label not in labels))


@dataclass(frozen=True, slots=True)
class Lease:
    """A claim that was honoured, until `expires_at` (monotonic seconds).

    One that is `unproven` was stored before our restart, or another service has answered at its address, and
    it has not been renewed since: its address may have been dealt anew meanwhile.
    """

    claim: Claim
    secret_hash: bytes = field(repr=False)
    expires_at: float
    failures: int = 0
    expired: bool = False
    unproven: bool = False

    @property
    def state(self) -> State:
        """How the instance stands now; an expired lease is that and nothing else."""
        if self.expired:
            return State.EXPIRED
        if self.failures >= FAILURES_UNTIL_DOWN:
            return State.DOWN
        return State.DRAINING if self.claim.draining else State.UP


class AddressLeasedError(Conflict):
    """The claimed address is leased by another service, whose lease this is."""

    def __init__(self, key: Key) -> None:
        super().__init__("This address and port are leased by another service. Listen on another port.")
        self.key = key


@dataclass(frozen=True, slots=True)
class Granted:
    """The outcome of a registration.

    `secret` is there when a new one was made and has to be told; `displaced` are older instances at the
    same address.
    """

    lease: Lease
    secret: str | None = field(default=None, repr=False)
    displaced: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a look at the clock found: leases that have expired, those that a probe must confirm, and those
    to forget.
    """

    expired: tuple[Lease, ...] = ()
    suspects: tuple[Lease, ...] = ()
    forgotten: tuple[Key, ...] = ()


def hash_secret(secret: str) -> bytes:
    """Hash a lease's secret for storage; it has 256 random bits, so a plain SHA-256 is enough."""
    return hashlib.sha256(secret.encode()).digest()


def register(
    held: Lease | None,
    neighbours: Iterable[Lease],
    claim: Claim,
    secret: str | None,
    now: float,
    lease_seconds: float = LEASE_SECONDS,
) -> Granted:
    """Register an instance or renew its lease.

    Args:
        held: the lease of that service and instance, if there is one.
        neighbours: the leases at the claimed address and port.
        claim: what is claimed.
        secret: the lease's secret, as the caller shows it.
        now: monotonic seconds.
        lease_seconds: how long the lease lasts.

    A renewal shows the lease's secret. A higher generation of the same instance does not need it: it is the
    successor, and is given a new one. A ghost (an older generation, by its id or at the same address) is
    refused.

    Raises:
        Conflict: a newer generation holds the lease, or the address is leased by another service.
        Forbidden: the lease's secret is missing or wrong, or the lease belongs to another identity.
    """
    displaced = _displaced(neighbours, claim)
    expires_at = now + lease_seconds
    if held is None:
        return _grant(claim, expires_at, displaced)
    if held.claim.identity != claim.identity:
        raise Forbidden("This instance was registered by another identity.")
    if claim.generation < held.claim.generation:
        raise Conflict("A newer generation of this instance is registered.", generation=held.claim.generation)
    if claim.generation > held.claim.generation:
        return _grant(claim, expires_at, displaced)
    _check_secret(held, secret)
    failures = 0 if claim.address != held.claim.address else held.failures
    return Granted(Lease(claim, held.secret_hash, expires_at, failures), None, displaced)


def _grant(claim: Claim, expires_at: float, displaced: tuple[Key, ...]) -> Granted:
    secret = secrets.token_urlsafe(32)
    return Granted(Lease(claim, hash_secret(secret), expires_at), secret, displaced)


def _displaced(neighbours: Iterable[Lease], claim: Claim) -> tuple[Key, ...]:
    """Return the older instances at the claimed address, or refuse the claim because of who is there.

    Two processes cannot listen at one address: of one service, the later generation is the one that lives.
    Generation 0 is that of a claim which names none.
    A lease that has expired, or that nobody has renewed since our restart, keeps no other service out: the
    address is the caller's own, as its connection shows.
    """
    found = []
    for lease in neighbours:
        other = lease.claim
        if other.address != claim.address or other.key == claim.key:
            continue
        if other.identity != claim.identity or other.service != claim.service:
            if lease.expired or lease.unproven:
                found.append(other.key)
                continue
            raise AddressLeasedError(other.key)
        newer = other.generation > claim.generation
        # Of two of one generation, the one that lives stays: which is the ghost, nobody can tell. Who says
        # none may be any of those before, and takes the place of nobody whose lease has not run out.
        gone = claim.generation > 0 and (lease.unproven or lease.state is State.DOWN)
        if not lease.expired and (newer or (other.generation == claim.generation and not gone)):
            raise Conflict(
                "Another instance of this service is registered at this address. "
                "To replace it, register with a higher generation.",
                generation=other.generation,
            )
        found.append(other.key)
    return tuple(found)


def _check_secret(held: Lease, secret: str | None) -> None:
    if secret is None or not hmac.compare_digest(hash_secret(secret), held.secret_hash):
        raise Forbidden(
            "Send the lease's secret in the header X-Fountain-Lease; the first answer carried it. "
            "An instance that has lost it registers with a higher generation."
        )


def check_release(held: Lease, identity: str, secret: str | None) -> None:
    """Refuse to give up a lease for a caller who may not.

    Raises:
        Forbidden: the lease is another identity's, or its secret is missing or wrong.
    """
    if held.claim.identity != identity:
        raise Forbidden("This instance was registered by another identity.")
    _check_secret(held, secret)


def restored(lease: Lease, now: float, lease_seconds: float = LEASE_SECONDS) -> Lease:
    """Return a stored lease after a restart: it has one full lease to be renewed in (no instance is to
    blame for ours), and is `unproven` until then.
    """
    return replace(lease, expires_at=now + lease_seconds, failures=0, expired=False, unproven=True)


def probed(lease: Lease, well: bool) -> Lease:
    """Return the lease after a probe of the instance's health."""
    failures = 0 if well else min(lease.failures + 1, FAILURES_UNTIL_DOWN)
    return lease if failures == lease.failures else replace(lease, failures=failures)


def lost(lease: Lease) -> Lease:
    """Return the lease of an instance that takes no connection: it is down at once, until a probe says
    otherwise.
    """
    return replace(lease, failures=FAILURES_UNTIL_DOWN)


def misplaced(lease: Lease) -> Lease:
    """Return the lease of an instance at whose address another service answers: it has died, and a network
    has dealt its address anew. It is down, and keeps no other service out, until it is renewed.
    """
    return replace(lease, failures=FAILURES_UNTIL_DOWN, unproven=True)


def sweep(leases: Collection[Lease], now: float, kept_seconds: float = EXPIRED_KEPT_SECONDS) -> Sweep:
    """Find the leases that have run out.

    At least half of all live leases, and at least three, are `suspects`: a probe decides (`confirmed`).
    Fewer are `expired`.
    """
    live = sum(1 for lease in leases if not lease.expired)
    late = tuple(lease for lease in leases if not lease.expired and lease.expires_at <= now)
    forgotten = tuple(
        lease.claim.key for lease in leases if lease.expired and lease.expires_at + kept_seconds <= now
    )
    if len(late) >= MASS_LEAST and len(late) >= live * MASS_SHARE:
        return Sweep(suspects=late, forgotten=forgotten)
    return Sweep(expired=tuple(_expire(lease) for lease in late), forgotten=forgotten)


def confirmed(lease: Lease, answered: bool, now: float, lease_seconds: float = LEASE_SECONDS) -> Lease:
    """Return a suspect after its probe: one that answered has one more lease to renew in, the others have
    expired.
    """
    return replace(lease, expires_at=now + lease_seconds) if answered else _expire(lease)


def _expire(lease: Lease) -> Lease:
    return replace(lease, expired=True)
