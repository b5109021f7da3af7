"""What holders say: that they accept a version, that they use it, that they leave."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fountain_common.auth import Caller
from fountain_common.errors import Conflict, NotFound
from sqlalchemy.orm import Session

from secrets_manager import repository_rotations as rotations
from secrets_manager import repository_secrets as secrets
from secrets_manager import transitions
from secrets_manager.audit import Audit
from secrets_manager.changes import Changes
from secrets_manager.holders import HolderKey, Presence
from secrets_manager.recording import Record, recorder
from secrets_manager.rotation import Holder, VersionState


class NoHolderError(Conflict):
    """Who acknowledges is no holder in the database."""


@dataclass(frozen=True)
class HoldersService:
    """Takes the word of holders, and takes rotations as far as it allows."""

    changes: Changes
    presence: Presence
    audit: Audit
    clock: Callable[[], float]

    async def acknowledge(self, caller: Caller, holder: HolderKey, version: int, *, uses: bool) -> Holder:
        """Note that a holder accepts or uses a version and whatever is older; saying it again changes
        nothing.
        """
        record = self._recorder(caller, holder.service_name)

        def run(session: Session) -> Holder:
            row = rotations.holder(session, *holder)
            known = secrets.version(session, holder.service_name, version)
            if known is None:
                raise NotFound(f"There is no version {version} of the secret of {holder.service_name}.")
            if row is None:
                # Whatever the reason, the next read makes it a holder anew. Here and not behind the commit,
                # where that read may have been heard of already.
                self.presence.remove([holder])
                raise NoHolderError(
                    "This instance does not hold the secret (any more). Read it first, then acknowledge."
                )
            if uses and known.state == VersionState.STAGED:
                raise Conflict(f"Version {version} is staged: nobody may use it before it is active.")
            after = rotations.to_holder(row).acknowledge(version, uses=uses)
            if (row.accepts, row.uses) != (after.accepts, after.uses):
                row.accepts, row.uses = after.accepts, after.uses
                session.flush()
                transitions.progress(session, holder.service_name, self.clock())
            phase = "uses" if uses else "accepts"
            record(session, version=version, phase=phase, instance_id=holder.instance_id)
            return after

        # Not `add`: its removal may have been waiting behind this, and then there is no row any more. A
        # holder in memory alone would be renewed for ever and waited for by no rotation.
        return await self.changes.commit(holder.service_name, run, lambda _: self.presence.renew(holder))

    async def leave(self, caller: Caller, service_name: str, instance_id: str) -> None:
        """Forget an instance that stops; nobody waits for it any more. An admin may say so of anybody's."""
        record = self._recorder(caller, service_name)

        def run(session: Session) -> list[HolderKey]:
            gone = [
                HolderKey(row.service_name, row.identity, row.instance_id)
                for row in rotations.holders_of(session, service_name)
                if row.instance_id == instance_id and (caller.is_admin or row.identity == caller.subject)
            ]
            remove(session, gone, self.clock())
            record(session, left=bool(gone), instance_id=instance_id)
            return gone

        await self.changes.commit(service_name, run, self.presence.remove)

    def _recorder(self, caller: Caller, service_name: str) -> Record:
        return recorder(self.audit, caller, "secrets:ack", f"secrets/{service_name}")


def remove(session: Session, gone: Iterable[HolderKey], now: float) -> None:
    """Delete holders, and take the rotations that waited for them on."""
    services = set()
    for key in gone:
        rotations.remove_holder(session, *key)
        services.add(key.service_name)
    for service_name in services:
        transitions.progress(session, service_name, now)


def forget_identity(session: Session, identity: str, now: float) -> set[str]:
    """Delete whatever an identity's instances hold; return the secrets."""
    held = [key for key in map(HolderKey._make, rotations.all_holders(session)) if key.identity == identity]
    remove(session, held, now)
    return {key.service_name for key in held}
