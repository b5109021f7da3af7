"""What rotations have to know and what they change: for many secrets in as many statements as for one.

Past the ORM, by statements that are made once: they are most of what a rotation costs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, cast

from fountain_common.outbox import enqueue_all
from fountain_common.statements import Listed, Prepared
from sqlalchemy import BindParameter, Table, bindparam, insert, select, update
from sqlalchemy.orm import Session

from secrets_manager import repository_rotations as rotations
from secrets_manager import repository_secrets as secrets
from secrets_manager import transitions
from secrets_manager.models_secrets import HELD_STATES, PolicyRow, SecretRow, SecretVersionRow
from secrets_manager.policies import Policy
from secrets_manager.rotation import Change, Holder, Rotation, VersionState

_SECRETS: Final = cast("Table", SecretRow.__table__).c
_VERSIONS: Final = cast("Table", SecretVersionRow.__table__)
_POLICIES: Final = cast("Table", PolicyRow.__table__).c
_EACH: Final[BindParameter[Any]] = bindparam("each", expanding=True)

_IN_USE: Final = Listed(
    select(_SECRETS.service_name, _SECRETS.newest_version).where(
        _SECRETS.service_name.in_(_EACH), _SECRETS.revoked_at.is_(None)
    )
)
_HELD: Final = Listed(
    select(_VERSIONS.c.service_name, _VERSIONS.c.version, _VERSIONS.c.state, _VERSIONS.c.sealed)
    .where(_VERSIONS.c.service_name.in_(_EACH), _VERSIONS.c.state.in_(HELD_STATES))
    .order_by(_VERSIONS.c.version.desc())
)
_POLICY: Final = Listed(
    select(
        _POLICIES.service_name,
        _POLICIES.cron,
        _POLICIES.interval_seconds,
        _POLICIES.overlap_seconds,
        _POLICIES.deadline_seconds,
    ).where(_POLICIES.service_name.in_(_EACH))
)
_ADD_VERSION: Final = Prepared(insert(_VERSIONS))
_COUNT_UP: Final = Listed(
    update(cast("Table", SecretRow.__table__))
    .where(_SECRETS.service_name.in_(_EACH))
    .values(newest_version=_SECRETS.newest_version + 1, updated_at=bindparam("at"))
)


class HeldVersion(NamedTuple):
    """A version that is staged, active or draining."""

    service_name: str
    version: int
    state: str
    sealed: bytes | None


@dataclass(slots=True)
class Standing:
    """A secret in use, as the next rotation finds it; held versions newest first."""

    service_name: str
    newest_version: int
    versions: list[HeldVersion] = field(default_factory=list, repr=False)
    policy: Policy = field(default_factory=Policy)
    open_ones: list[Rotation] = field(default_factory=list)
    holders: list[Holder] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Begun:
    """A rotation that begins: its version, sealed, and every step that is due with it."""

    rotation: Rotation
    sealed: bytes = field(repr=False)
    changes: Sequence[Change]
    holders: Sequence[Holder]
    by: str

    @property
    def state(self) -> VersionState:
        """The state that the new version is in behind these steps."""
        return self._states().get(self.rotation.version, VersionState.STAGED)

    def last(self) -> dict[str, Rotation]:
        """Return each rotation as the last step leaves it, by its id; the new one is there."""
        return {
            self.rotation.rotation_id: self.rotation,
            **{change.rotation.rotation_id: change.rotation for change in self.changes},
        }

    def other_states(self) -> dict[int, VersionState]:
        """Return the states of the versions before, where a step changed them."""
        return {number: state for number, state in self._states().items() if number != self.rotation.version}

    def _states(self) -> dict[int, VersionState]:
        return dict(state for change in self.changes for state in change.versions)


def standing_of(session: Session, names: Iterable[str]) -> dict[str, Standing]:
    """Return those of the secrets that there are, and that are in use."""
    among = list(names)
    if not among:
        return {}
    connection = session.connection()
    found = {name: Standing(name, newest) for name, newest in _IN_USE.rows(connection, among)}
    for row in _HELD.rows(connection, among):
        if row[0] in found:
            found[row[0]].versions.append(HeldVersion(*row))
    for name, *policy in _POLICY.rows(connection, among):
        if name in found:
            found[name].policy = Policy(*policy)
    for one in rotations.open_of_all(session, among):
        if one.service_name in found:
            found[one.service_name].open_ones.append(one)
    for name, holder in rotations.holders_of_all(session, among):
        if name in found:
            found[name].holders.append(holder)
    return found


def write(session: Session, begun: Sequence[Begun], now: float) -> None:
    """Store rotations of different secrets with their versions, all steps that are due, and the events."""
    if not begun:
        return
    connection = session.connection()
    _ADD_VERSION.run(connection, [_version(one, now) for one in begun])
    rotations.add_all(session, [(one.last()[one.rotation.rotation_id], one.by, one.holders) for one in begun])
    others = [
        (rotation, one.holders)
        for one in begun
        for rotation_id, rotation in one.last().items()
        if rotation_id != one.rotation.rotation_id
    ]
    rotations.save_all(session, others)
    states = [
        (one.rotation.service_name, number, state)
        for one in begun
        for number, state in one.other_states().items()
    ]
    secrets.set_states(session, states, now)
    # Each of these secrets gets one version more.
    _COUNT_UP.run(connection, [one.rotation.service_name for one in begun], at=now)
    enqueue_all(session, transitions.events_of(change for one in begun for change in one.changes))


def _version(one: Begun, now: float) -> dict[str, Any]:
    return {
        "service_name": one.rotation.service_name,
        "version": one.rotation.version,
        "state": str(one.state),
        "sealed": one.sealed,
        "created_at": now,
        "created_by": one.by,
        "changed_at": now,
    }
