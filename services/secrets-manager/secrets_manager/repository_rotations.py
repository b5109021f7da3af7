"""Queries over rotations and holders, and their way between rows and the rules."""

from collections.abc import Sequence
from typing import Any, Final, cast

import orjson
from fountain_common.statements import Listed, Prepared
from sqlalchemy import BindParameter, Table, bindparam, delete, func, insert, select, update
from sqlalchemy.orm import Session

from secrets_manager.eras import newest_first
from secrets_manager.models_secrets import OPEN_STATES, HolderRow, RotationRow
from secrets_manager.rotation import Holder, Rotation, RotationState

_ROTATIONS: Final = cast("Table", RotationRow.__table__)
_HOLDERS: Final = cast("Table", HolderRow.__table__).c
_FIELDS: Final = Rotation._fields
#: In the order of the table's columns.
_ADD: Final = Prepared(insert(_ROTATIONS), (*_FIELDS, "requested_by", "last_holders"))
_SAVE: Final = Prepared(
    update(_ROTATIONS)
    .where(_ROTATIONS.c.rotation_id == bindparam("id"))
    .values({name: bindparam(name) for name in (*_FIELDS, "last_holders")})
)
_EACH: Final[BindParameter[Any]] = bindparam("each", expanding=True)
_OPEN_OF: Final = Listed(
    select(*(_ROTATIONS.c[name] for name in _FIELDS))
    .where(_ROTATIONS.c.service_name.in_(_EACH), _ROTATIONS.c.state.in_(OPEN_STATES))
    .order_by(_ROTATIONS.c.version)
)
_HOLDERS_OF: Final = Listed(
    select(_HOLDERS.service_name, _HOLDERS.instance_id, _HOLDERS.identity, _HOLDERS.accepts, _HOLDERS.uses)
    .where(_HOLDERS.service_name.in_(_EACH))
    .order_by(_HOLDERS.identity, _HOLDERS.instance_id)
)


def to_rotation(row: RotationRow) -> Rotation:
    """Return a row as the rules know it."""
    return Rotation(
        rotation_id=row.rotation_id,
        service_name=row.service_name,
        version=row.version,
        previous_version=row.previous_version,
        state=RotationState(row.state),
        overdue=row.overdue,
        created_at=row.created_at,
        deadline_at=row.deadline_at,
        deadline_seconds=row.deadline_seconds,
        overlap_seconds=row.overlap_seconds,
        activated_at=row.activated_at,
        draining_since=row.draining_since,
        retired_at=row.retired_at,
        reason=row.reason,
    )


def to_holder(row: HolderRow) -> Holder:
    """Return a row as the rules know it."""
    return Holder(row.instance_id, row.identity, row.accepts, row.uses)


def add_all(session: Session, added: Sequence[tuple[Rotation, str, Sequence[Holder]]]) -> None:
    """Insert new rotations, each with who asked for it and who holds the secret."""
    rows = [(*_stored(one), by, _last_holders(one, holders)) for one, by, holders in added]
    _ADD.run_rows(session.connection(), rows)


def save_all(session: Session, changed: Sequence[tuple[Rotation, Sequence[Holder]]]) -> None:
    """Write what steps changed; who held the secret goes with a rotation that has ended."""
    rows = [
        {
            **dict(zip(_FIELDS, _stored(one), strict=True)),
            "last_holders": _last_holders(one, holders),
            "id": one.rotation_id,
        }
        for one, holders in changed
    ]
    _SAVE.run(session.connection(), rows)


def find(session: Session, rotation_id: str) -> RotationRow | None:
    """Return one rotation."""
    return session.scalars(select(RotationRow).where(RotationRow.rotation_id == rotation_id)).first()


def open_of(session: Session, service_name: str) -> list[Rotation]:
    """Return the open rotations of one secret, the oldest first."""
    return open_of_all(session, [service_name])


def open_of_all(session: Session, names: Sequence[str]) -> list[Rotation]:
    """Return the open rotations of these secrets, the older version first."""
    found = map(Rotation._make, _OPEN_OF.rows(session.connection(), names))
    return [one._replace(state=RotationState(one.state), overdue=bool(one.overdue)) for one in found]


def services_with_open(session: Session) -> list[str]:
    """Return the secrets that have an open rotation."""
    return list(
        session.scalars(select(RotationRow.service_name).where(RotationRow.state.in_(OPEN_STATES)).distinct())
    )


def count_overdue(session: Session) -> int:
    """Return how many open rotations are beyond their deadline."""
    query = select(func.count()).where(RotationRow.state.in_(OPEN_STATES), RotationRow.overdue)
    return session.scalar(query) or 0


def page(
    session: Session, before: int | None, limit: int, *, service_name: str | None, state: RotationState | None
) -> Sequence[RotationRow]:
    """Return up to `limit` rotations older than position `before`, the newest first."""
    query = select(RotationRow)
    if state is RotationState.OVERDUE:
        query = query.where(RotationRow.overdue)
    elif state is not None:
        query = query.where(RotationRow.state == str(state), ~RotationRow.overdue)
    if service_name is not None:
        query = query.where(RotationRow.service_name == service_name)
        found = newest_first(session, query, RotationRow.position, limit=limit, before=before)
        return [row[0] for row in found]
    if before is not None:
        query = query.where(RotationRow.position < before)
    return session.scalars(query.order_by(RotationRow.position.desc()).limit(limit)).all()


def holders_of(session: Session, service_name: str) -> list[HolderRow]:
    """Return everyone who holds a secret."""
    query = select(HolderRow).where(HolderRow.service_name == service_name)
    return list(session.scalars(query.order_by(HolderRow.identity, HolderRow.instance_id)))


def holders_of_all(session: Session, names: Sequence[str]) -> list[tuple[str, Holder]]:
    """Return everyone who holds one of these secrets, as the rules know them, each with the secret's name."""
    found = _HOLDERS_OF.rows(session.connection(), names)
    return [(name, Holder(*holder)) for name, *holder in found]


def holder(session: Session, service_name: str, identity: str, instance_id: str) -> HolderRow | None:
    """Return one holder."""
    return session.get(HolderRow, (service_name, identity, instance_id))


def all_holders(session: Session) -> list[tuple[str, str, str]]:
    """Return the keys of all holders: service, identity, instance."""
    rows = session.execute(select(HolderRow.service_name, HolderRow.identity, HolderRow.instance_id))
    return [(row[0], row[1], row[2]) for row in rows]


def remove_holder(session: Session, service_name: str, identity: str, instance_id: str) -> None:
    """Forget one holder, if it is there."""
    session.execute(
        delete(HolderRow).where(
            HolderRow.service_name == service_name,
            HolderRow.identity == identity,
            HolderRow.instance_id == instance_id,
        )
    )


def _stored(rotation: Rotation) -> tuple[Any, ...]:
    """Return the columns of a rotation as SQLite's driver takes them with the least ado."""
    by_id, service_name, version, previous, state, overdue, *others = rotation
    return (by_id, service_name, version, previous, state.value, int(overdue), *others)


def _last_holders(rotation: Rotation, holders: Sequence[Holder]) -> str | None:
    if rotation.is_open:
        return None
    return orjson.dumps([holder._asdict() for holder in holders]).decode() if holders else "[]"
