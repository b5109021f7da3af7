"""What was seen in a run: plain facts, which `invariants` judges. Moments are unix seconds."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from chaos.schedule import Kind, Part


@dataclass(frozen=True)
class Request:
    """One request and what came of it.

    Attributes:
        kind: such as `lookup`; counted together in the report.
        needs: what it cannot do without: parts, and services of which one instance is enough.
        began, ended: when it was sent, and when the answer was there or given up.
        failure: why it failed; "" if it did not.
        idempotent: it may be sent again, so that it must not fail while there is an instance to go to.
    """

    kind: str
    needs: tuple[Part | str, ...]
    began: float
    ended: float
    failure: str = ""
    idempotent: bool = True


@dataclass
class Trouble:
    """A part was broken.

    Attributes:
        part, kind: what, and how.
        began: before anything was done to it.
        ended: when it was let go: killed, started again or thawed; None while it is not.
        recovered: when the first health check after that was sent that it answered as one that has joined the
            platform (see `watch`); None if none was.
        note: what went wrong with the breaking itself; "" if nothing did.
        answered: when the first was sent that it answered at all, with 200.
    """

    part: Part
    kind: Kind
    began: float
    ended: float | None = None
    recovered: float | None = None
    note: str = ""
    answered: float | None = None

    @property
    def seconds(self) -> float | None:
        """How long it took to be well again after it was let go."""
        return None if self.ended is None or self.recovered is None else self.recovered - self.ended


@dataclass(frozen=True)
class Received:
    """An event as it reached a receiver; `key` names what it tells of, as `Acknowledged.key` does."""

    key: str
    position: int
    subject: str
    number: str = ""
    """What its publisher called it: the same for all attempts of one publish."""


@dataclass(frozen=True)
class Acknowledged:
    """The platform has said that it will tell of this."""

    key: str
    via: str
    """`direct` or `outbox`."""


@dataclass(frozen=True)
class Opening:
    """An answer to somebody who opened a link: 307, or that there is none."""

    where: str
    version: int
    status: int
    began: float
    ended: float


@dataclass(frozen=True)
class Link:
    """A link that was signed, the version that signed it, and when."""

    token: str
    version: int
    signed_at: float


@dataclass(frozen=True)
class RotationSeen:
    """A rotation, as the Secrets Manager shows it."""

    rotation_id: str
    service: str
    version: int
    previous_version: int
    state: str
    reason: str
    late: tuple[str, ...]
    activated: bool
    retired_at: float | None


@dataclass(frozen=True)
class NewVersion:
    """A version of a secret that a rotation's answer gave; the fingerprint stands for its values."""

    service: str
    version: int
    fingerprint: str
    rotation_id: str = ""


@dataclass(frozen=True)
class NewSigningKey:
    """A signing key of tokens that a rotation's answer gave.

    Attributes:
        kid: its name.
        signs_from: when it begins to sign.
        was_published: the key set had it when it was read after that, before it signed; None if nobody could.
    """

    kid: str
    signs_from: float
    was_published: bool | None = None


@dataclass(frozen=True)
class Token:
    """A token that was issued: the key that signed it, when it was asked for, and when it was there."""

    kid: str
    began: float
    ended: float


@dataclass
class History:
    """Everything that was seen."""

    requests: list[Request] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    acknowledged: list[Acknowledged] = field(default_factory=list)
    streamed: list[Received] = field(default_factory=list)
    delivered: list[Received] = field(default_factory=list)
    gaps: int = 0
    """How often the stream said that events are missing for good."""
    forged: int = 0
    """Deliveries whose signature does not fit."""
    openings: list[Opening] = field(default_factory=list)
    versions: list[NewVersion] = field(default_factory=list)
    rotations: list[RotationSeen] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    signing_keys: list[NewSigningKey] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)

    def retired(self, service: str) -> dict[int, float]:
        """Return when which version of a service's secret was retired."""
        return {
            one.previous_version: one.retired_at
            for one in self.rotations
            if one.service == service and one.state == "retired" and one.retired_at is not None
        }

    def troubles_by_part(self) -> dict[Part, list[Trouble]]:
        """Return the troubles of each part, in their order."""
        found: defaultdict[Part, list[Trouble]] = defaultdict(list)
        for trouble in self.troubles:
            found[trouble.part].append(trouble)
        return dict(found)


def expected_events(rotations: Iterable[RotationSeen]) -> list[Acknowledged]:
    """Return which events rotations tell of: each is written with the change, and handed on from there."""
    told = []
    for one in rotations:
        told.append(Acknowledged(f"secret.staged:{one.rotation_id}", "outbox"))
        if one.activated:
            told.append(Acknowledged(f"secret.rotated:{one.rotation_id}", "outbox"))
        if one.state == "retired":
            told.append(Acknowledged(f"secret.retired:{one.rotation_id}", "outbox"))
    return told
