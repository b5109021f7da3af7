"""Rows and what they stand for; every function works in the caller's transaction."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from gateway_lookup.leases import Claim, Key, Lease
from gateway_lookup.lookups import StaticEntry
from gateway_lookup.models import IssuedName, LeaseRow, OwnedName, StaticRow


def save_lease(session: Session, lease: Lease) -> None:
    """Add or replace a lease."""
    claim = lease.claim
    session.merge(
        LeaseRow(
            service=claim.service,
            instance=claim.instance,
            identity=claim.identity,
            host=claim.host,
            port=claim.port,
            generation=claim.generation,
            scheme=claim.scheme,
            version=claim.version,
            title=claim.title,
            description=claim.description,
            hosts=list(claim.hosts),
            draining=claim.draining,
            secret_hash=lease.secret_hash,
        )
    )


def remove_leases(session: Session, keys: Iterable[Key]) -> None:
    """Remove leases, those that are there."""
    for service, instance in keys:
        session.execute(delete(LeaseRow).where(LeaseRow.service == service, LeaseRow.instance == instance))


def all_leases(session: Session) -> list[Lease]:
    """Return every stored lease; each has run out until it is `restored`."""
    return [
        Lease(
            Claim(
                service=row.service,
                instance=row.instance,
                identity=row.identity,
                host=row.host,
                port=row.port,
                generation=row.generation,
                scheme=row.scheme,
                version=row.version,
                title=row.title,
                description=row.description,
                hosts=tuple(row.hosts),
                draining=row.draining,
            ),
            row.secret_hash,
            expires_at=0.0,
        )
        for row in session.scalars(select(LeaseRow))
    ]


def save_static(session: Session, entry: StaticEntry) -> None:
    """Add or replace a static entry."""
    session.merge(StaticRow(service_name=entry.service_name, url=entry.url, hosts=list(entry.hosts)))


def remove_static(session: Session, name: str) -> None:
    """Remove a static entry, if it is there."""
    session.execute(delete(StaticRow).where(StaticRow.service_name == name))


def all_statics(session: Session) -> list[StaticEntry]:
    """Return every static entry."""
    return [
        StaticEntry(row.service_name, row.url, tuple(row.hosts)) for row in session.scalars(select(StaticRow))
    ]


def own_name(session: Session, name: str) -> None:
    """Remember that a name is its service's, from now on."""
    session.merge(OwnedName(name=name))


def free_name(session: Session, name: str) -> None:
    """Forget that a name is anybody's."""
    session.execute(delete(OwnedName).where(OwnedName.name == name))


def all_owned(session: Session) -> set[str]:
    """Return every name that is its service's."""
    return set(session.scalars(select(OwnedName.name)))


def allow_name(
    session: Session, name: str, service: str, now: datetime, since: datetime, limits: tuple[int, int]
) -> bool:
    """Let a name have a public certificate; one that had one keeps it.

    Args:
        session: the transaction.
        name: the whole host name.
        service: whose it is.
        now: this moment.
        since: from when on new names are counted.
        limits: so many new ones at most for all services, and for one.
    """
    if session.get(IssuedName, name) is not None:
        return True
    new = select(func.count()).select_from(IssuedName).where(IssuedName.first_at > since)
    counted = (session.scalar(new) or 0, session.scalar(new.where(IssuedName.service == service)) or 0)
    if any(count >= limit for count, limit in zip(counted, limits, strict=True)):
        return False
    session.add(IssuedName(name=name, first_at=now, service=service))
    return True
