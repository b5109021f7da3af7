"""Getting back in, by whoever has the database and the key volume; every such act is in the audit."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fountain_common.db import Database
from fountain_common.roles import Role
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from secrets_manager import key_files
from secrets_manager.api_keys import ApiKey
from secrets_manager.audit import Audit
from secrets_manager.audit_chain import GENESIS, Head
from secrets_manager.identities import Actor, Identities, NewIdentity, NewKey
from secrets_manager.keyring import Keyring
from secrets_manager.models_audit import AuditHeadRow, AuditRow
from secrets_manager.reconcile import ADMIN
from secrets_manager.repository_identities import IdentityRows, RowRefusedError
from secrets_manager.row_mac import RowMacs
from secrets_manager.row_state import RowState


async def new_admin_key(
    database: Database, keyring: Keyring, folder: Path, clock: Callable[[], float]
) -> str:
    """Make a key of an admin and put it into the admin's folder; returns whose key it is.

    If the first admin is revoked, is an admin no more or was tampered with, another identity is made.
    """
    rows, audit = _parts(database, keyring)
    identities = Identities(database, rows, audit, clock=clock)

    def write(session: Session) -> tuple[str, ApiKey]:
        name, actor = _usable_name(session, rows), Actor("recover-admin")
        if rows.find(session, name) is None:
            new = NewIdentity(
                name, "person", (Role.ADMIN.value,), remote=True, description="Made by recovery"
            )
            identities.create_in(session, new, actor)
        key, _ = identities.create_key_in(session, name, NewKey("recovered"), actor)
        return name, key

    name, key = await database.write(write)
    key_files.write_api_key(folder, key.reveal())
    return name


async def note(database: Database, keyring: Keyring, action: str, detail: Mapping[str, Any]) -> None:
    """Put an act of the operator at the machine into the audit."""
    _, audit = _parts(database, keyring)

    def write(session: Session) -> None:
        audit.record(
            session, caller="operator-at-the-machine", action=action, target="platform", detail=detail
        )

    await database.write(write)


async def accept_audit_head(database: Database, keyring: Keyring) -> int:
    """Let the audit go on behind its newest record after its head was altered; returns its position.

    Nothing is mended: anchors and the new record's place in the chain keep telling what is missing.
    """
    _, audit = _parts(database, keyring)

    def write(session: Session) -> int:
        newest = session.execute(
            select(AuditRow.seq, AuditRow.hash).order_by(AuditRow.seq.desc()).limit(1)
        ).one_or_none()
        head = Head(newest.seq, newest.hash) if newest else Head(0, GENESIS)
        stored = session.execute(select(AuditHeadRow.seq)).scalar_one_or_none()
        session.execute(delete(AuditHeadRow))
        session.add(AuditHeadRow(id=1, seq=head.seq, hash=head.hash, mac=audit.chain.head_mac(head)))
        session.flush()
        detail = {"stored_head": stored, "accepted_head": head.seq}
        audit.record(
            session,
            caller="operator-at-the-machine",
            action="audit:accept-head",
            target="audit",
            detail=detail,
        )
        return head.seq

    return await database.write(write)


async def accept_rows(database: Database, keyring: Keyring) -> None:
    """Take identities, keys and grants as they are; after older ones were put back, and somebody looked."""
    rows, audit = _parts(database, keyring)
    await database.write(
        lambda session: RowState(rows.macs, audit).accept(session, "operator-at-the-machine")
    )


def _parts(database: Database, keyring: Keyring) -> tuple[IdentityRows, Audit]:
    return IdentityRows(RowMacs(keyring.derive("row-mac"))), Audit(database, keyring.derive("audit"))


def _usable_name(session: Session, rows: IdentityRows) -> str:
    number = 1
    while True:
        name = ADMIN if number == 1 else f"{ADMIN}-{number}"
        try:
            row = rows.find(session, name)
        except RowRefusedError:
            row = None
            taken = True
        else:
            taken = row is not None and (
                row.revoked_at is not None or Role.ADMIN.value not in row.roles.split(",")
            )
        if not taken:
            return name
        number += 1
