"""Applies the steps of rotation.py to the database, each with its event, in the caller's transaction."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

import orjson
from fountain_common.outbox import enqueue
from sqlalchemy.orm import Session

from secrets_manager import repository_rotations as rotations
from secrets_manager import repository_secrets as secrets
from secrets_manager import rotation as rules
from secrets_manager.models_secrets import SecretRow
from secrets_manager.rotation import Change, Holder, Rotation, RotationEvent, RotationState, VersionState

#: Where a transaction keeps when each secret has something to do next, so that it is asked for once.
_NEXT: Final = "next moment"


def begin(
    session: Session, secret: SecretRow, sealed: bytes, rotation: Rotation, *, immediate: bool, by: str
) -> VersionState:
    """Store a new version and its rotation, take every step that is due, and return the version's state.

    A staged rotation gives way to the new one. `immediate` waits for nobody.
    """
    now, name = rotation.created_at, secret.service_name
    holders = holders_of(session, name)
    open_ones = rotations.open_of(session, name)
    others = [one for one in open_ones if one.state is not RotationState.STAGED]
    changes = [rules.supersede(one, now) for one in open_ones if one.state is RotationState.STAGED]
    if immediate:
        changes += rules.immediately(rotation, others, now)
    else:
        changes.append(Change(rotation, event=RotationEvent.STAGED))
        changes += rules.advance([*others, rotation], holders, now)
    state = dict(state for change in changes for state in change.versions).get(
        rotation.version, VersionState.STAGED
    )
    secret.newest_version, secret.updated_at = rotation.version, now
    secrets.add_version(session, name, rotation.version, state, sealed, by, now)
    rotations.add(session, rotation, by)
    apply(session, changes, holders, now)
    _remember_next(session, name, _after(open_ones, [rotation], changes), holders)
    return state


def progress(session: Session, service_name: str, now: float) -> None:
    """Take every step that is due for one secret.

    What to do is decided by what is stored and the clock, by nothing else: so it goes on after a kill.
    """
    holders = holders_of(session, service_name)
    open_ones = rotations.open_of(session, service_name)
    changes = rules.advance(open_ones, holders, now)
    apply(session, changes, holders, now)
    _remember_next(session, service_name, _after(open_ones, [], changes), holders)


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
    for rotation in {change.rotation.rotation_id: change.rotation for change in changes}.values():
        ended = None if rotation.is_open else orjson.dumps([asdict(holder) for holder in holders]).decode()
        rotations.save(session, rotation, ended)
        session.info.pop((_NEXT, rotation.service_name), None)
    states = {
        (change.rotation.service_name, number): state
        for change in changes
        for number, state in change.versions
    }
    for (service_name, number), state in states.items():
        secrets.set_state(session, service_name, number, state, now)
    for service_name in {service_name for service_name, _ in states}:
        secrets.touch(session, service_name, now)
    for change in changes:
        if change.event is not None:
            tell(session, change.rotation, change.event)


def _after(
    open_ones: Sequence[Rotation], begun: Sequence[Rotation], changes: Sequence[Change]
) -> list[Rotation]:
    """Return rotations as the changes leave them."""
    last = {change.rotation.rotation_id: change.rotation for change in changes}
    return [last.get(one.rotation_id, one) for one in (*open_ones, *begun)]


def _remember_next(
    session: Session, service_name: str, open_ones: Sequence[Rotation], holders: Sequence[Holder]
) -> None:
    moments = (rules.next_moment(one, holders) for one in open_ones)
    due = min((moment for moment in moments if moment is not None), default=None)
    session.info[_NEXT, service_name] = due


def tell(session: Session, rotation: Rotation, event: RotationEvent) -> None:
    """Put an event about a rotation into the outbox."""
    # A retired event names the version that is gone; all others the version that comes.
    retired = event is RotationEvent.RETIRED
    enqueue(
        session,
        str(event),
        rotation.service_name,
        {
            "service_name": rotation.service_name,
            "version": rotation.previous_version if retired else rotation.version,
            "rotation_id": rotation.rotation_id,
        },
    )


def holders_of(session: Session, service_name: str) -> list[Holder]:
    """Return the holders of a secret as the rules know them."""
    return [rotations.to_holder(row) for row in rotations.holders_of(session, service_name)]
