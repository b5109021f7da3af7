"""A subscription: who wants which events, and where they go."""

from dataclasses import dataclass, field
from typing import Any

from notification.filters import Filter
from notification.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Options:
    """What a subscription may set for itself; None is the service's setting.

    Attributes:
        timeout_seconds: how long the receiver may take.
        concurrency: how many deliveries may be under way at once.
        schedule: seconds before each attempt.
        subject: only events about this.
        source: only events of this publisher.
    """

    timeout_seconds: float | None = None
    concurrency: int | None = None
    schedule: Schedule | None = None
    subject: str | None = None
    source: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what is stored."""
        found = {name: getattr(self, name) for name in self.__slots__}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in found.items()
            if value is not None
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Options":
        """Read what was stored."""
        schedule = stored.get("schedule")
        return cls(**{**stored, "schedule": tuple(schedule) if schedule is not None else None})


@dataclass(frozen=True, slots=True)
class Subscription:
    """One subscription.

    Attributes:
        name: unique.
        owner: the identity that put it, or changed its receiver last; it alone sees what is answered then.
        types: patterns.
        service, callback_url: one of the two says where events go.
        enabled: whether events are delivered.
        disabled_reason: why not.
        had: events up to this position have become deliveries.
        missed_through: events up to this position had been removed before they could; 0 if none.
        failing_since: unix seconds of the first failure behind the last success.
        secret, previous_secret: sealed.
        previous_until: unix seconds until when the previous secret signs too.
        disabled_at: unix seconds at which it was disabled for its failures.
    """

    name: str
    owner: str
    types: tuple[str, ...]
    service: str | None
    callback_url: str | None
    options: Options
    enabled: bool
    disabled_reason: str | None
    had: int
    missed_through: int
    failing_since: float | None
    secret: bytes = field(repr=False)
    previous_secret: bytes | None = field(repr=False)
    previous_until: float | None
    created_at: float
    updated_at: float
    disabled_at: float | None = None

    @property
    def reader(self) -> str:
        """The identity whose eyes it sees with: the service's that receives, or the owner's."""
        return self.service or self.owner

    @property
    def filter(self) -> Filter:
        """Which events it is for."""
        patterns = () if ">" in self.types else self.types
        return Filter(self.reader, patterns, self.options.source, self.options.subject)

    def sealed_secrets(self, now: float) -> list[bytes]:
        """Return the sealed secrets that sign now, newest first."""
        live = [self.secret]
        if self.previous_secret is not None and self.previous_until is not None and now < self.previous_until:
            live.append(self.previous_secret)
        return live


def sealing_context(name: str) -> str:
    """Return what a signing secret is bound to, so that it does not open in another's place."""
    return f"subscriptions/{name}/secret"
