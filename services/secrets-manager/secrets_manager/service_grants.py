"""Grants: another identity may read a service's secret. Every row carries a MAC, and one that fails grants
nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from fountain_common.auth import Caller
from fountain_common.errors import BadRequest, NotFound
from fountain_common.logging import get_logger
from sqlalchemy import select
from sqlalchemy.orm import Session

from secrets_manager import repository_rotations as rotations
from secrets_manager import repository_secrets as secrets
from secrets_manager import service_holders
from secrets_manager.access import Grants
from secrets_manager.audit import Audit
from secrets_manager.changes import Changes
from secrets_manager.holders import HolderKey, Presence
from secrets_manager.models_secrets import GrantRow
from secrets_manager.recording import Record, recorder
from secrets_manager.row_mac import RowMacs
from secrets_manager.row_state import DETAIL, RowState

_TABLE: Final = GrantRow.__tablename__


@dataclass
class GrantsService:
    """Keeps grants in the database, and those that are genuine in memory."""

    changes: Changes
    grants: Grants
    macs: RowMacs
    presence: Presence
    audit: Audit
    clock: Callable[[], float]
    _refused: set[tuple[str, str]] = field(default_factory=set)

    async def load(self) -> None:
        """Take over what is stored; rows whose MAC fails are left out, and the health check says so."""
        generation = self.grants.generation
        rows = await self.changes.read(lambda session: session.scalars(select(GrantRow)).all())
        self._refused = {(row.service_name, row.identity) for row in rows if not self._is_genuine(row)}
        self.grants.replace({(row.service_name, row.identity) for row in rows} - self._refused, generation)
        for service_name, identity in sorted(self._refused):
            get_logger().error("grant_refused_mac_fails", secret_of=service_name, identity=identity)

    async def check(self) -> bool:
        """Whether all stored grants are genuine; a health check."""
        await self.load()
        return not self._refused

    async def of(self, service_name: str) -> Sequence[GrantRow]:
        """Return the genuine grants of a secret."""
        query = select(GrantRow).where(GrantRow.service_name == service_name).order_by(GrantRow.identity)
        rows = await self.changes.read(lambda session: session.scalars(query).all())
        return [row for row in rows if self._is_genuine(row)]

    async def grant(self, caller: Caller, service_name: str, identity: str) -> GrantRow:
        """Let an identity read a secret; saying it again changes nothing."""
        if identity == service_name:
            raise BadRequest("A service reads its own secret without a grant.")
        record, state = self._recorder(caller, service_name), RowState(self.macs, self.audit)

        def run(session: Session) -> GrantRow:
            state.begin(session)
            if secrets.find(session, service_name) is None:
                raise NotFound(f"There is no secret of {service_name}.")
            now = self.clock()
            mac = self.macs.sign(_TABLE, service_name, identity, caller.subject, now)
            row = session.merge(
                GrantRow(
                    service_name=service_name,
                    identity=identity,
                    granted_by=caller.subject,
                    granted_at=now,
                    mac=mac,
                )
            )
            record(session, operation="grant", identity=identity, **{DETAIL: state.said(session)})
            return row

        return await self.changes.commit(service_name, run, lambda _: self.grants.add(service_name, identity))

    async def withdraw(self, caller: Caller, service_name: str, identity: str) -> None:
        """Let an identity read no more; its instances are holders no longer."""
        record, state = self._recorder(caller, service_name), RowState(self.macs, self.audit)

        def run(session: Session) -> list[HolderKey]:
            state.begin(session)
            row = session.get(GrantRow, (service_name, identity))
            if row is None:
                raise NotFound(f"{identity} has no grant to the secret of {service_name}.")
            session.delete(row)
            gone = [
                HolderKey(service_name, identity, row.instance_id)
                for row in rotations.holders_of(session, service_name)
                if row.identity == identity
            ]
            service_holders.remove(session, gone, self.clock())
            record(session, operation="withdraw", identity=identity, **{DETAIL: state.said(session)})
            return gone

        def then(gone: list[HolderKey]) -> None:
            self.grants.remove(service_name, identity)
            self.presence.remove(gone)

        await self.changes.commit(service_name, run, then)

    def _is_genuine(self, row: GrantRow) -> bool:
        return self.macs.check(
            _TABLE, row.mac, row.service_name, row.identity, row.granted_by, row.granted_at
        )

    def _recorder(self, caller: Caller, service_name: str) -> Record:
        return recorder(self.audit, caller, "grants:write", f"secrets/{service_name}")
