"""What rotations have to know and what they change: for many secrets in as many statements as for one.

Past the ORM, by statements that are made once: they are most of what a rotation costs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, cast

from fountain_common.outbox import enqueue_all
from fountain_common.statements import Listed, Prepared
from sqlalchemy import BindParameter, Table, bindparam, insert, select, update
from sqlalchemy.orm import Session

from secrets_manager import repository_rotations as rotations
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
    select(
        _VERSIONS.c.service_name,
        _VERSIONS.c.version,
        _VERSIONS.c.state,
        _VERSIONS.c.sealed,
        _VERSIONS.c.position,
    )
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
#: In the order of the table's columns.
_ADD_VERSION: Final = Prepared(
    insert(_VERSIONS),
    ("service_name", "version", "state", "sealed", "created_at", "created_by", "changed_at"),
)
_SET_STATE: Final = Listed(
    update(_VERSIONS)
    .where(_VERSIONS.c.position.in_(_EACH))
    .values(state=bindparam("to"), changed_at=bindparam("at"))
)
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
    position: int


@dataclass(slots=True)
class Standing:
    """A secret in use, as the next rotation finds it; held versions newest first."""

    service_name: str
    newest_version: int
    versions: list[HeldVersion] = field(default_factory=list, repr=False)
    policy: Policy = field(default_factory=Policy)
    open_ones: list[Rotation] = field(default_factory=list)
    holders: list[Holder] = field(default_factory=list)


class Begun(NamedTuple):
    """A rotation that begins: its version, sealed, and what every step that is due with it comes to.

    Attributes:
        rotation: the new one, as the last step leaves it.
        sealed: the values of its version.
        others: the rotations before it that a step changed, as the last step leaves them.
        states: of the versions that a step changed.
        held: the versions that there were.
        events: that tell of the steps, each of type, subject and data.
        holders: who holds the secret.
        by: who asked.
    """

    rotation: Rotation
    sealed: bytes
    others: Sequence[Rotation]
    states: Mapping[int, VersionState]
    held: Sequence[HeldVersion]
    events: Sequence[tuple[str, str, dict[str, object]]]
    holders: Sequence[Holder]
    by: str

    @property
    def state(self) -> VersionState:
        """The state that the new version is in."""
        return self.states.get(self.rotation.version, VersionState.STAGED)

    def __repr__(self) -> str:
        return f"<Begun {self.rotation!r}>"


def begun(rotation: Rotation, sealed: bytes, changes: Sequence[Change], found: Standing, by: str) -> Begun:
    """Sum up the steps with which a rotation begins. Pure."""
    last: dict[str, Rotation] = {rotation.rotation_id: rotation}
    states: dict[int, VersionState] = {}
    for changed, versions, _ in changes:
        last[changed.rotation_id] = changed
        states.update(versions)
    newest = last.pop(rotation.rotation_id)
    events = transitions.events_of(changes)
    return Begun(newest, sealed, list(last.values()), states, found.versions, events, found.holders, by)


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


def write(session: Session, rotations_begun: Sequence[Begun], now: float) -> None:
    """Store rotations of different secrets with their versions, all steps that are due, and the events."""
    if not rotations_begun:
        return
    connection = session.connection()
    _ADD_VERSION.run_rows(connection, [_version(one, now) for one in rotations_begun])
    rotations.add_all(session, [(one.rotation, one.by, one.holders) for one in rotations_begun])
    rotations.save_all(session, [(other, one.holders) for one in rotations_begun for other in one.others])
    for state, positions in _moved(rotations_begun).items():
        _SET_STATE.run(connection, positions, to=state.value, at=now)
    # Each of these secrets gets one version more.
    _COUNT_UP.run(connection, [one.rotation.service_name for one in rotations_begun], at=now)
    enqueue_all(session, [event for one in rotations_begun for event in one.events])


def _moved(rotations_begun: Iterable[Begun]) -> dict[VersionState, list[int]]:
    """Return the positions of the versions that came into each state, which was another before."""
    moved: dict[VersionState, list[int]] = {}
    for one in rotations_begun:
        for row in one.held:
            state = one.states.get(row.version)
            if state is not None:
                moved.setdefault(state, []).append(row.position)
    return moved


def _version(one: Begun, now: float) -> tuple[Any, ...]:
    """Return the columns of a version in the table's order, as SQLite's driver takes them."""
    rotation = one.rotation
    return (
        rotation.service_name,
        rotation.version,
        one.state.value,
        bytearray(one.sealed),
        now,
        one.by,
        now,
    )
