"""Applies the steps of rotation.py to the database, each with its event, in the caller's transaction."""

from collections.abc import Iterable, Sequence
from typing import Final

from fountain_common.outbox import enqueue_all
from sqlalchemy.orm import Session

from secrets_manager import repository_rotations as rotations
from secrets_manager import repository_secrets as secrets
from secrets_manager import rotation as rules
from secrets_manager.rotation import Change, Holder, Rotation, RotationEvent, RotationState

#: Where a transaction keeps when each secret has something to do next, so that it is asked for once.
_NEXT: Final = "next moment"


def begin(
    rotation: Rotation, open_ones: Sequence[Rotation], holders: Sequence[Holder], *, immediate: bool
) -> list[Change]:
    """Return every step that is due when a rotation begins among a secret's open ones. Pure.

    A staged rotation gives way to the new one. `immediate` waits for nobody.
    """
    now = rotation.created_at
    others = [one for one in open_ones if one.state is not RotationState.STAGED]
    changes = [rules.supersede(one, now) for one in open_ones if one.state is RotationState.STAGED]
    if immediate:
        return changes + rules.immediately(rotation, others, now)
    changes.append(Change(rotation, event=RotationEvent.STAGED))
    return changes + rules.advance([*others, rotation], holders, now)


def progress(session: Session, service_name: str, now: float) -> None:
    """Take every step that is due for one secret.

    What to do is decided by what is stored and the clock, by nothing else: so it goes on after a kill.
    """
    holders = holders_of(session, service_name)
    open_ones = rotations.open_of(session, service_name)
    changes = rules.advance(open_ones, holders, now)
    apply(session, changes, holders, now)
    _remember_next(session, service_name, after(open_ones, [], changes), holders)


def next_moment(session: Session, service_name: str) -> float | None:
    """Return when `progress` has something to do for this secret if nobody acknowledges anything."""
    key = (_NEXT, service_name)
    if key not in session.info:
        holders = holders_of(session, service_name)
        _remember_next(session, service_name, rotations.open_of(session, service_name), holders)
    moment: float | None = session.info[key]
    return moment


def apply(session: Session, changes: Sequence[Change], holders: Sequence[Holder], now: float) -> None:
    """Write steps: each rotation as the last of them leaves it, the versions they changed, and the events."""
    last = {change.rotation.rotation_id: change.rotation for change in changes}.values()
    rotations.save_all(session, [(rotation, holders) for rotation in last])
    for rotation in last:
        session.info.pop((_NEXT, rotation.service_name), None)
    states = {
        (change.rotation.service_name, number): state
        for change in changes
        for number, state in change.versions
    }
    secrets.set_states(session, [(name, number, state) for (name, number), state in states.items()], now)
    secrets.touch(session, {service_name for service_name, _ in states}, now)
    enqueue_all(session, events_of(changes))


def after(
    open_ones: Sequence[Rotation], begun: Sequence[Rotation], changes: Sequence[Change]
) -> list[Rotation]:
    """Return rotations as the changes leave them."""
    last = {change.rotation.rotation_id: change.rotation for change in changes}
    return [last.get(one.rotation_id, one) for one in (*open_ones, *begun)]


def earliest(open_ones: Iterable[Rotation], holders: Sequence[Holder]) -> float | None:
    """Return when the clock alone takes the first of a secret's rotations on. Pure."""
    moments = (rules.next_moment(one, holders) for one in open_ones)
    return min((moment for moment in moments if moment is not None), default=None)


def _remember_next(
    session: Session, service_name: str, open_ones: Iterable[Rotation], holders: Sequence[Holder]
) -> None:
    session.info[_NEXT, service_name] = earliest(open_ones, holders)


def events_of(changes: Iterable[Change]) -> list[tuple[str, str, dict[str, object]]]:
    """Return type, subject and data of the events that tell of these steps. Pure."""
    return [_event(change.rotation, change.event) for change in changes if change.event is not None]


def _event(rotation: Rotation, event: RotationEvent) -> tuple[str, str, dict[str, object]]:
    # A retired event names the version that is gone; all others the version that comes.
    retired = event is RotationEvent.RETIRED
    data: dict[str, object] = {
        "service_name": rotation.service_name,
        "version": rotation.previous_version if retired else rotation.version,
        "rotation_id": rotation.rotation_id,
    }
    return str(event), rotation.service_name, data


def holders_of(session: Session, service_name: str) -> list[Holder]:
    """Return the holders of a secret as the rules know them."""
    return [holder for _, holder in rotations.holders_of_all(session, [service_name])]
