"""Revoking, restoring and destroying: each is one transaction with its audit record and its events."""

from collections.abc import Callable
from dataclasses import dataclass

from fountain_common.auth import Caller
from fountain_common.errors import Conflict, NotFound
from fountain_common.outbox import enqueue
from sqlalchemy.orm import Session

from secrets_manager import repository_rotations as rotations
from secrets_manager import repository_secrets as secrets
from secrets_manager import rotation as rules
from secrets_manager import transitions
from secrets_manager.audit import Audit
from secrets_manager.changes import Changes
from secrets_manager.models_secrets import SecretRow
from secrets_manager.recording import Record, recorder
from secrets_manager.rotation import HELD, RotationState, VersionState


@dataclass(frozen=True)
class LifecycleService:
    """Takes secrets out of use and back, and erases old versions; who may do it is decided before."""

    changes: Changes
    audit: Audit
    clock: Callable[[], float]

    async def revoke(self, caller: Caller, service_name: str) -> None:
        """Take a secret out of use; `restore` brings it back. A staged version is aborted."""
        record = self._recorder(caller, service_name)

        def run(session: Session) -> None:
            now = self.clock()
            secret = existing(session, service_name)
            secret.revoked_at = secret.updated_at = now
            staged = [
                one for one in rotations.open_of(session, service_name) if one.state is RotationState.STAGED
            ]
            holders = transitions.holders_of(session, service_name)
            transitions.apply(session, [rules.abort(one, now) for one in staged], holders, now)
            enqueue(session, "secret.revoked", service_name, {"service_name": service_name})
            record(session, operation="revoke")

        await self.changes.commit(service_name, run)

    async def restore(self, caller: Caller, service_name: str) -> None:
        """Undo `revoke`; Conflict if it was not revoked."""
        record = self._recorder(caller, service_name)

        def run(session: Session) -> None:
            secret = secrets.find(session, service_name)
            if secret is None:
                raise NotFound(f"There is no secret of {service_name}.")
            if secret.revoked_at is None:
                raise Conflict("This secret is not revoked: there is nothing to restore.")
            secret.revoked_at, secret.updated_at = None, self.clock()
            enqueue(session, "secret.restored", service_name, {"service_name": service_name})
            record(session, operation="restore")

        await self.changes.commit(service_name, run)

    async def destroy(self, caller: Caller, service_name: str, version: int) -> None:
        """Erase the values of a version for good; Conflict while anybody may hold it."""
        record = self._recorder(caller, service_name)

        def run(session: Session) -> None:
            row = secrets.version(session, service_name, version)
            if row is None:
                raise NotFound(f"There is no version {version} of the secret of {service_name}.")
            if row.state in HELD:
                raise Conflict(f"Version {version} is {row.state}: only what nobody holds can be destroyed.")
            row.state, row.sealed, row.changed_at = str(VersionState.DESTROYED), None, self.clock()
            record(session, operation="destroy", version=version)

        await self.changes.commit(service_name, run)

    def _recorder(self, caller: Caller, service_name: str) -> Record:
        return recorder(self.audit, caller, "secrets:write", f"secrets/{service_name}")


def existing(session: Session, service_name: str) -> SecretRow:
    """Return a secret that is in use, or NotFound."""
    secret = secrets.find(session, service_name)
    if secret is None or secret.revoked_at is not None:
        raise NotFound(f"There is no secret of {service_name}.")
    return secret
