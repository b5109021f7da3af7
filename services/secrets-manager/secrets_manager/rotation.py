"""The rotation of a secret as a state machine. Pure: time and holders are passed in.

Time is expected not to go back while a process lives (steady.py). A moment that lies in the future was
taken by another process, whose clock was ahead: what it began is begun again, so that nothing waits for ever.

    staged     every holder gets the new version; none uses it
      |  all holders acknowledged `accepts`
    active     all begin to use it; the previous version is draining
      |  all holders acknowledged `uses`
    draining   nothing uses the previous version; what was last made with it may live on for `overlap_seconds`
      |  so long after the last holder let go of it
    retired    the previous version is refused everywhere

A staged rotation may also be aborted by an operator or superseded by the next one. Waiting for
acknowledgements past the deadline makes it overdue, which ends by late acknowledgements, by the holder's
disappearance, or by an operator's word. Each rotation knows only its version and the one before; several
may be past `staged` at a time, one at most is staged.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final, NamedTuple


class VersionState(StrEnum):
    """What a version is for."""

    STAGED = "staged"
    ACTIVE = "active"
    DRAINING = "draining"
    RETIRED = "retired"
    ABORTED = "aborted"
    SUPERSEDED = "superseded"
    DESTROYED = "destroyed"


#: Versions that holders accept, and which therefore are handed out and never destroyed.
HELD: Final = (VersionState.STAGED, VersionState.ACTIVE, VersionState.DRAINING)


class RotationState(StrEnum):
    """Where a rotation is; see the picture above."""

    STAGED = "staged"
    ACTIVE = "active"
    DRAINING = "draining"
    RETIRED = "retired"
    OVERDUE = "overdue"
    ABORTED = "aborted"
    SUPERSEDED = "superseded"


#: States that time or acknowledgements still change.
OPEN: Final = (RotationState.STAGED, RotationState.ACTIVE, RotationState.DRAINING)


class RotationEvent(StrEnum):
    """What is published about a rotation: names and versions, never values."""

    STAGED = "secret.staged"
    ROTATED = "secret.rotated"
    RETIRED = "secret.retired"
    OVERDUE = "secret.rotation-overdue"
    ABORTED = "secret.aborted"


_ROUNDING: Final = 1e-3


class NotPossibleError(Exception):
    """The rotation is in a state that does not allow the step; the message says which and what to do."""


class Holder(NamedTuple):
    """An instance that holds the secret: the newest version that it accepts, and the newest that it uses."""

    instance_id: str
    identity: str
    accepts: int
    uses: int

    def acknowledge(self, version: int, *, uses: bool) -> "Holder":
        """Return the holder after an acknowledgement; it covers older versions, and what is used is
        accepted.
        """
        accepts = max(self.accepts, version)
        return self._replace(accepts=accepts, uses=max(self.uses, version) if uses else self.uses)


class Rotation(NamedTuple):
    """A change from `previous_version` to `version`; moments are seconds since 1970."""

    rotation_id: str
    service_name: str
    version: int
    previous_version: int
    state: RotationState
    overdue: bool
    created_at: float
    deadline_at: float
    deadline_seconds: float
    overlap_seconds: float
    activated_at: float | None = None
    draining_since: float | None = None
    retired_at: float | None = None
    reason: str = ""

    @property
    def shown_state(self) -> RotationState:
        """The state with `overdue` before all others, as answers name it."""
        return RotationState.OVERDUE if self.overdue else self.state

    @property
    def is_open(self) -> bool:
        """Whether anything may still happen to it."""
        return self.state in OPEN

    def is_late(self, holder: Holder) -> bool:
        """Whether this rotation waits for that holder."""
        if self.state is RotationState.STAGED:
            return holder.accepts < self.version
        return self.is_open and holder.uses < self.version


class Change(NamedTuple):
    """A rotation after a step, the versions whose state the step changed, and the event that tells of it."""

    rotation: Rotation
    versions: tuple[tuple[int, VersionState], ...] = ()
    event: RotationEvent | None = None


def advance(rotations: Iterable[Rotation], holders: Sequence[Holder], now: float) -> list[Change]:
    """Return every step that is due for one secret; applied to the rotations, a second call returns none.

    `rotations` are the secret's open ones. One may take several steps in one call: with no holders and no
    overlap it goes from staged to retired.
    """
    changes: list[Change] = []
    for rotation in sorted(rotations, key=lambda rotation: rotation.version):
        current = rotation
        while (change := _step(current, holders, now)) is not None:
            changes.append(change)
            current = change.rotation
    return changes


def next_moment(rotation: Rotation, holders: Sequence[Holder]) -> float | None:
    """Say when the clock alone will change this rotation; None when only acknowledgements or people can."""
    if not rotation.is_open:
        return None
    if any(rotation.is_late(holder) for holder in holders):
        return None if rotation.overdue else rotation.deadline_at
    # Nobody is late: what follows is due at once, but for the overlap.
    if rotation.draining_since is None:
        return rotation.created_at
    return rotation.draining_since + rotation.overlap_seconds


def force(rotation: Rotation, now: float) -> Change:
    """Take the next step without the acknowledgements or the overlap that it waits for."""
    if rotation.state is RotationState.STAGED:
        return _activate(rotation, now)
    if rotation.is_open:
        return _retire(rotation, now)
    raise NotPossibleError(f"The rotation is {rotation.state} already: nothing is left to force.")


def abort(rotation: Rotation, now: float) -> Change:
    """Give up a staged rotation; nobody has used its version."""
    if rotation.state is RotationState.STAGED:
        return _give_up(rotation, now, RotationState.ABORTED, VersionState.ABORTED, RotationEvent.ABORTED)
    if rotation.is_open:
        raise NotPossibleError(
            f"Version {rotation.version} is in use already and cannot be aborted. Rotate once more instead."
        )
    raise NotPossibleError(f"The rotation is {rotation.state} already: nothing is left to abort.")


def supersede(rotation: Rotation, now: float) -> Change:
    """Make room for the next staged version."""
    return _give_up(rotation, now, RotationState.SUPERSEDED, VersionState.SUPERSEDED, None)


def immediately(rotation: Rotation, older: Iterable[Rotation], now: float) -> list[Change]:
    """Activate a new rotation and retire every older version at once; requests that still use them may
    fail.
    """
    activated = _activate(rotation, now)
    return [
        *(_retire(other, now) for other in older if other.activated_at is not None),
        activated,
        _retire(activated.rotation, now),
    ]


def _step(rotation: Rotation, holders: Sequence[Holder], now: float) -> Change | None:
    if not rotation.is_open:
        return None
    if holders and any(rotation.is_late(holder) for holder in holders):
        return _wait(rotation, now)
    if rotation.activated_at is None:
        return _activate(rotation, now)
    if rotation.draining_since is None or rotation.draining_since > now:
        # A holder that was late made things with the previous version until now: they live on for the
        # whole overlap.
        return Change(rotation._replace(state=RotationState.DRAINING, overdue=False, draining_since=now))
    if now >= rotation.draining_since + rotation.overlap_seconds:
        return _retire(rotation, now)
    return None


def _wait(rotation: Rotation, now: float) -> Change | None:
    anew = now + rotation.deadline_seconds
    if rotation.draining_since is not None:
        # An instance that was away came back and still uses the previous version. It has as long as any
        # other had, though the deadline of those is over.
        state = RotationState.ACTIVE
        return Change(rotation._replace(state=state, draining_since=None, deadline_at=anew))
    if not rotation.overdue and now >= rotation.deadline_at:
        return Change(rotation._replace(overdue=True), event=RotationEvent.OVERDUE)
    if not rotation.overdue and rotation.deadline_at > anew + _ROUNDING:
        return Change(rotation._replace(deadline_at=anew))
    return None


def _activate(rotation: Rotation, now: float) -> Change:
    active = rotation._replace(
        state=RotationState.ACTIVE,
        overdue=False,
        activated_at=now,
        deadline_at=now + rotation.deadline_seconds,  # each wait has its own deadline
    )
    versions = (rotation.version, VersionState.ACTIVE), (rotation.previous_version, VersionState.DRAINING)
    return Change(active, versions, RotationEvent.ROTATED)


def _retire(rotation: Rotation, now: float) -> Change:
    retired = rotation._replace(state=RotationState.RETIRED, overdue=False, retired_at=now)
    return Change(retired, ((rotation.previous_version, VersionState.RETIRED),), RotationEvent.RETIRED)


def _give_up(
    rotation: Rotation, now: float, state: RotationState, version: VersionState, event: RotationEvent | None
) -> Change:
    ended = rotation._replace(state=state, overdue=False, retired_at=now)
    return Change(ended, ((rotation.version, version),), event)
