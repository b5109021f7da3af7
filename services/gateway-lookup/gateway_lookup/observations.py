"""What the gateway has seen of the services: how each instance is, and each service's OpenAPI document."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway_lookup.descriptions import Description, described
from gateway_lookup.fetch import Fetched
from gateway_lookup.leases import Key

_WORDS = 20


@dataclass(frozen=True, slots=True)
class Health:
    """How an instance was when it was last asked."""

    well: bool
    degraded: tuple[str, ...] = ()
    misplaced: bool = False
    """Another service answered."""


def read_health(fetched: Fetched | None, service: str, known: Callable[[str], bool]) -> Health:
    """Read the answer of `GET /health`; anything but a 200 of this service is not well. What it says is
    data, never trusted to be short.

    Args:
        fetched: the answer.
        service: who should have answered.
        known: tells whether a name is a registered service's. Another word is what somebody calls himself.
    """
    if fetched is None:
        return Health(False)
    document = _object(fetched.body)
    named = document.get("service")
    if isinstance(named, str) and named != service and known(named):
        return Health(False, misplaced=True)
    if fetched.status != 200:
        return Health(False)
    words = document.get("degraded")
    degraded = tuple(str(word)[:63] for word in words[:_WORDS]) if isinstance(words, list) else ()
    return Health(True, degraded)


def read_openapi(fetched: Fetched | None, server: str) -> Description | None:
    """Read the answer of `GET /openapi.json` for a service at `server`; None if it is not an OpenAPI
    document. It takes a while for a long one.
    """
    if fetched is None or fetched.status != 200:
        return None
    document = _object(fetched.body)
    if isinstance(document.get("paths"), dict) and isinstance(document.get("openapi"), str):
        return described(document, server)
    return None


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


@dataclass
class Observations:
    """The newest of each.

    Attributes:
        health: by lease.
        openapi: by service, what its document has become.
    """

    health: dict[Key, Health] = field(default_factory=dict)
    openapi: dict[str, Description] = field(default_factory=dict)

    def keep_only(self, keys: set[Key]) -> None:
        """Forget what is not registered any more."""
        self.health = {key: seen for key, seen in self.health.items() if key in keys}
        names = {service for service, _ in keys}
        self.openapi = {name: seen for name, seen in self.openapi.items() if name in names}
