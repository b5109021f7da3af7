"""What a holder of secrets holds: rules without I/O."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Literal, cast

State = Literal["staged", "active", "draining"]
_ORDER: dict[str, int] = {"active": 0, "staged": 1, "draining": 2}


@dataclass(frozen=True, slots=True, repr=False)
class Version:
    """One version and its values; prints neither."""

    number: int
    state: State
    values: Mapping[str, str]
    since: float = 0.0

    def __repr__(self) -> str:
        return f"<Version {self.number} {self.state}, values redacted>"

    def __reduce__(self) -> Any:
        raise TypeError("secrets are not pickled")


@dataclass(frozen=True, slots=True)
class Document:
    """What the Secrets Manager says about one service's secrets."""

    epoch: str
    active: int
    versions: tuple[Version, ...]


@dataclass(frozen=True, slots=True)
class HeldVersion:
    """What this instance can say about one version without saying a value.

    Attributes:
        version: its number.
        state: `staged`, `active` or `draining`.
        phase: `accepts` or `uses` once that was acknowledged; None before.
        since: when this instance learnt that the version is in this state, UTC.
        keys: the names of its secrets.
    """

    version: int
    state: State
    phase: Literal["accepts", "uses"] | None
    since: datetime
    keys: tuple[str, ...]


def read_document(document: Mapping[str, Any]) -> Document:
    """Read the answer of `GET /secrets/{serviceName}`.

    Raises:
        ValueError: values were withheld, or the active version is not among the versions.
        KeyError, TypeError: it is not such an answer.
    """
    versions = tuple(
        Version(
            int(item["version"]),
            cast("State", item["state"]),
            MappingProxyType({str(key): str(value) for key, value in item["secrets"].items()}),
        )
        for item in document["versions"]
        if item["state"] in _ORDER
    )
    active = int(document["version"])
    if not any(version.number == active and version.state == "active" for version in versions):
        versions = (*versions, Version(active, "active", MappingProxyType(dict(document["secrets"]))))
    if not next(version for version in versions if version.number == active).values:
        raise ValueError("the values of the active version were withheld")
    return Document(str(document["epoch"]), active, versions)


@dataclass(slots=True)
class Held:
    """The versions that are held. Replaced as a whole, so that a reader sees one state or the next and
    nothing between.
    """

    epoch: str = ""
    active: int = 0
    versions: Mapping[int, Version] = field(default_factory=dict)
    in_order: tuple[Version, ...] = ()

    @property
    def newest(self) -> int:
        """The newest version that is staged or active: to accept it is to accept all before it."""
        return max((each.number for each in self.in_order if each.state != "draining"), default=0)

    def take(self, document: Document, now: float | None = None) -> bool:
        """Hold what a document says, unless that is older than what is held; tell whether it was taken.

        Within an epoch the active version never goes back; a restored backup begins another epoch.

        Args:
            document: what was fetched.
            now: unix seconds.
        """
        if document.epoch == self.epoch and document.active < self.active:
            return False
        moment = time.time() if now is None else now
        known = self.versions if document.epoch == self.epoch else {}
        versions = {}
        for each in sorted(document.versions, key=lambda one: (_ORDER[one.state], -one.number)):
            before = known.get(each.number)
            unchanged = before is not None and before.state == each.state
            since = before.since if before is not None and unchanged else moment
            versions[each.number] = Version(each.number, each.state, each.values, since)
        self.epoch, self.active, self.versions = document.epoch, document.active, versions
        self.in_order = tuple(versions.values())
        return True

    def states(self) -> dict[int, str]:
        """Return the state of each version."""
        return {each.number: each.state for each in self.in_order}

    def report(self, accepts: int, uses: int) -> list[HeldVersion]:
        """Return what can be said of each version, with the newest ones that were acknowledged."""
        return [
            HeldVersion(
                each.number,
                each.state,
                "uses" if each.number <= uses else "accepts" if each.number <= accepts else None,
                datetime.fromtimestamp(each.since, UTC),
                tuple(sorted(each.values)),
            )
            for each in self.in_order
        ]
