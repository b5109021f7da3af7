"""Queries over secrets and their versions."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, cast

from fountain_common.statements import Listed, Prepared
from sqlalchemy import BindParameter, Table, and_, bindparam, select, update
from sqlalchemy.orm import Session

from secrets_manager.eras import newest_first
from secrets_manager.models_secrets import HELD_STATES, SecretRow, SecretVersionRow
from secrets_manager.repository_facts import EPOCH
from secrets_manager.rotation import VersionState

# Writes go past the ORM, by statements that are made once: a rotation is several, and most of its cost.
_SECRETS: Final = cast("Table", SecretRow.__table__)
_VERSIONS: Final = cast("Table", SecretVersionRow.__table__)
_SET_STATE: Final = Prepared(
    update(_VERSIONS)
    .where(
        _VERSIONS.c.service_name == bindparam("of"),
        _VERSIONS.c.version == bindparam("number"),
        _VERSIONS.c.state.in_(HELD_STATES),
    )
    .values(state=bindparam("to"), changed_at=bindparam("at"))
)
_EACH: Final[BindParameter[Any]] = bindparam("each", expanding=True)
SHOWN: Final = Listed(
    select(
        EPOCH,
        _SECRETS.c.revoked_at,
        _SECRETS.c.updated_at,
        _VERSIONS.c.version,
        _VERSIONS.c.state,
        _VERSIONS.c.sealed,
        _VERSIONS.c.position,
    )
    .select_from(
        _SECRETS.outerjoin(
            _VERSIONS,
            and_(
                _VERSIONS.c.service_name == _SECRETS.c.service_name,
                _VERSIONS.c.state.in_(HELD_STATES),
            ),
        )
    )
    .where(_SECRETS.c.service_name.in_(_EACH))
    .order_by(_VERSIONS.c.version.desc())
)
"""What a reader gets is made of, in one statement: a row for each held version, newest first.

Each has the epoch, when the secret was revoked and changed, and the version's number, state, sealed values
and position; a secret without a held version has one row whose version is None, and one that is not there
none.
"""
_TOUCH: Final = Prepared(
    update(_SECRETS).where(_SECRETS.c.service_name == bindparam("of")).values(updated_at=bindparam("at"))
)


def find(session: Session, service_name: str) -> SecretRow | None:
    """Return the secret of a service, revoked or not."""
    return session.get(SecretRow, service_name)


def page(session: Session, after: str, limit: int) -> Sequence[SecretRow]:
    """Return up to `limit` secrets whose names come after `after`."""
    query = select(SecretRow).where(SecretRow.service_name > after)
    return session.scalars(query.order_by(SecretRow.service_name).limit(limit)).all()


def held_versions(session: Session, service_names: Sequence[str]) -> dict[str, list[SecretVersionRow]]:
    """Return the staged, active and draining versions of each secret, the newest first."""
    query = select(SecretVersionRow).where(
        SecretVersionRow.service_name.in_(service_names),
        SecretVersionRow.state.in_(HELD_STATES),
    )
    found: dict[str, list[SecretVersionRow]] = {name: [] for name in service_names}
    for row in session.scalars(query.order_by(SecretVersionRow.version.desc())):
        found[row.service_name].append(row)
    return found


def version(session: Session, service_name: str, number: int) -> SecretVersionRow | None:
    """Return one version, whatever its state."""
    query = select(SecretVersionRow).where(
        SecretVersionRow.service_name == service_name, SecretVersionRow.version == number
    )
    held = session.scalars(query.where(SecretVersionRow.state.in_(HELD_STATES))).first()
    if held is not None:
        return held
    earlier = newest_first(session, query, SecretVersionRow.position, limit=1)
    found: SecretVersionRow | None = earlier[0][0] if earlier else None
    return found


def version_in(session: Session, service_name: str, state: VersionState) -> SecretVersionRow | None:
    """Return the newest version in this state, which is one of those that are held."""
    query = select(SecretVersionRow).where(
        SecretVersionRow.service_name == service_name,
        SecretVersionRow.state == str(state),
        SecretVersionRow.state.in_(HELD_STATES),
    )
    return session.scalars(query.order_by(SecretVersionRow.version.desc()).limit(1)).first()


def version_page(session: Session, service_name: str, before: int, limit: int) -> Sequence[SecretVersionRow]:
    """Return up to `limit` versions older than `before`, the newest first."""
    query = select(SecretVersionRow).where(
        SecretVersionRow.service_name == service_name, SecretVersionRow.version < before
    )
    # Of one secret, the later version is the higher one.
    return [row[0] for row in newest_first(session, query, SecretVersionRow.position, limit=limit)]


def set_states(session: Session, states: Iterable[tuple[str, int, VersionState]], now: float) -> None:
    """Note that versions that are held, each named by its secret and its number, are in other states."""
    rows = [
        {"of": service_name, "number": number, "to": str(state), "at": now}
        for service_name, number, state in states
    ]
    if rows:
        _SET_STATE.run(session.connection(), rows)


def touch(session: Session, service_names: Iterable[str], now: float) -> None:
    """Note that something about these secrets has changed."""
    rows = [{"of": service_name, "at": now} for service_name in service_names]
    if rows:
        _TOUCH.run(session.connection(), rows)
