"""Applies the steps of rotation.py to the database, each with its event, in the caller's transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict

import orjson
from fountain_common.outbox import enqueue
from sqlalchemy.orm import Session

from secrets_manager import repository_rotations as rotations
from secrets_manager import repository_secrets as secrets
from secrets_manager import rotation as rules
from secrets_manager.models_secrets import SecretRow, SecretVersionRow
from secrets_manager.rotation import Change, Holder, Rotation, RotationEvent, RotationState, VersionState


def begin(
    session: Session, secret: SecretRow, sealed: bytes, rotation: Rotation, *, immediate: bool, by: str
) -> None:
    """Store a new version and its rotation, and take every step that is due at once.

    A staged rotation gives way to the new one. `immediate` waits for nobody.
    """
    now = rotation.created_at
    holders = holders_of(session, secret.service_name)
    open_ones = rotations.open_of(session, secret.service_name)
    staged = [one for one in open_ones if one.state is RotationState.STAGED]
    apply(session, [rules.supersede(one, now) for one in staged], holders, now)
    secret.newest_version = rotation.version
    session.add(
        SecretVersionRow(
            service_name=secret.service_name,
            version=rotation.version,
            state=str(VersionState.STAGED),
            sealed=sealed,
            created_at=now,
            created_by=by,
            changed_at=now,
        )
    )
    rotations.add(session, rotation, by)
    if immediate:
        others = [one for one in open_ones if one.state is not RotationState.STAGED]
        apply(session, rules.immediately(rotation, others, now), holders, now)
    else:
        tell(session, rotation, RotationEvent.STAGED)
        progress(session, secret.service_name, now)


def progress(session: Session, service_name: str, now: float) -> float | None:
    """Take every step that is due for one secret; return the moment of the next that time alone will make
    due.

    What to do is decided by what is stored and the clock, and by nothing else, so that it goes on after
    any kill.
    """
    holders = holders_of(session, service_name)
    changes = rules.advance(rotations.open_of(session, service_name), holders, now)
    apply(session, changes, holders, now)
    return next_moment(session, service_name, holders)


def next_moment(session: Session, service_name: str, holders: Sequence[Holder] | None = None) -> float | None:
    """Return when `progress` has something to do for this secret if nobody acknowledges anything."""
    held_by = holders_of(session, service_name) if holders is None else holders
    moments = (rules.next_moment(one, held_by) for one in rotations.open_of(session, service_name))
    return min((moment for moment in moments if moment is not None), default=None)


def apply(session: Session, changes: Iterable[Change], holders: Sequence[Holder], now: float) -> None:
    """Write steps: the rotation, the versions whose state they change, and the event."""
    for change in changes:
        row = rotations.save(session, change.rotation)
        if not change.rotation.is_open:
            row.last_holders = orjson.dumps([asdict(holder) for holder in holders]).decode()
        for number, state in change.versions:
            _set_state(session, change.rotation.service_name, number, state, now)
        if change.event is not None:
            tell(session, change.rotation, change.event)
    session.flush()


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


def _set_state(session: Session, service_name: str, number: int, state: VersionState, now: float) -> None:
    row = secrets.version(session, service_name, number)
    secret = secrets.find(session, service_name)
    if row is None or secret is None:
        return
    row.state, row.changed_at = str(state), now
    secret.updated_at = now
