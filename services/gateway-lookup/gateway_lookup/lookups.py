"""The answer to a lookup, encoded once a change and served as bytes."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from gateway_lookup.leases import Lease


@dataclass(frozen=True, slots=True)
class StaticEntry:
    """A service that does not register itself: an admin says where it is."""

    service_name: str
    url: str
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A lookup's answer: JSON, and the strong ETag of exactly these bytes (RFC 9110, section 8.8.3)."""

    body: bytes
    etag: str


def document(
    name: str, live: Sequence[Lease], static: StaticEntry | None, pinned: str | None
) -> Document | None:
    """Make the answer for a service; pinned stands over static over leased. None if it is nowhere.

    Instances are named only where they are the answer: a client that spreads its requests over them must not
    get round an address that stands over theirs.

    Args:
        name: the service.
        live: its leases that have not expired, the best first.
        static: its static entry.
        pinned: its pinned URL.
    """
    if pinned:
        url, source = pinned, "pinned"
    elif static is not None:
        url, source = static.url, "static"
    elif live:
        url, source = live[0].claim.url, "leased"
    else:
        return None
    body = orjson.dumps(
        {
            "service_name": name,
            "url": url,
            "source": source,
            "instances": [
                {
                    "instance_id": lease.claim.instance,
                    "url": lease.claim.url,
                    "version": lease.claim.version,
                    "status": lease.state.value,
                }
                for lease in (live if source == "leased" else ())
            ],
            "hosts": sorted({name, *_labels(live), *(static.hosts if static else ())}),
        }
    )
    return Document(body, f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"')


def _labels(live: Sequence[Lease]) -> list[str]:
    return [label for lease in live for label in lease.claim.hosts]


def not_modified(if_none_match: str | None, etag: str) -> bool:
    """Tell whether the caller already has what the tag names (RFC 9110, section 13.1.2: weak comparison)."""
    if not if_none_match:
        return False
    if if_none_match == etag:
        return True
    tags = (tag.strip().removeprefix("W/") for tag in if_none_match.split(","))
    return if_none_match.strip() == "*" or etag in tags
