"""Looking at rotations, and an operator's word on them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import orjson
from fountain_common.auth import Caller
from fountain_common.errors import Conflict, NotFound
from sqlalchemy.orm import Session

from secrets_manager import repository_rotations as rotations
from secrets_manager import rotation as rules
from secrets_manager import transitions
from secrets_manager.audit import Audit
from secrets_manager.changes import Changes
from secrets_manager.models_secrets import RotationRow
from secrets_manager.recording import recorder
from secrets_manager.rotation import Change, Holder, NotPossibleError, Rotation, RotationState

_MOST_NAMED: Final = 20


@dataclass(frozen=True)
class RotationStatus:
    """A rotation and those who hold its secret: now, or when it ended."""

    position: int
    rotation: Rotation
    requested_by: str
    holders: Sequence[Holder]


@dataclass(frozen=True)
class RotationsService:
    """Lists rotations, and forces or aborts one."""

    changes: Changes
    audit: Audit
    clock: Callable[[], float]

    async def page(
        self, before: int | None, limit: int, service_name: str | None, state: RotationState | None
    ) -> list[RotationStatus]:
        """Return rotations older than position `before`, the newest first."""

        def read(session: Session) -> list[RotationStatus]:
            rows = rotations.page(session, before, limit, service_name=service_name, state=state)
            return [_status(session, row) for row in rows]

        return await self.changes.read(read)

    async def get(self, rotation_id: str) -> RotationStatus:
        """Return one rotation, or NotFound."""
        return await self.changes.read(lambda session: _status(session, _existing(session, rotation_id)))

    async def force(self, caller: Caller, rotation_id: str) -> RotationStatus:
        """Take the next step of a rotation without those who are late."""
        return await self._decide(caller, rotation_id, "force", rules.force)

    async def abort(self, caller: Caller, rotation_id: str) -> RotationStatus:
        """Give up a staged rotation."""
        return await self._decide(caller, rotation_id, "abort", rules.abort)

    async def _decide(
        self, caller: Caller, rotation_id: str, word: str, step: Callable[[Rotation, float], Change]
    ) -> RotationStatus:
        service_name = (await self.get(rotation_id)).rotation.service_name
        record = recorder(self.audit, caller, f"rotations:{word}", f"rotations/{rotation_id}")

        def run(session: Session) -> RotationStatus:
            now = self.clock()
            rotation = rotations.to_rotation(_existing(session, rotation_id))
            held_by = transitions.holders_of(session, service_name)
            try:
                change = step(rotation, now)
            except NotPossibleError as failure:
                raise Conflict(str(failure)) from failure
            transitions.apply(session, [change], held_by, now)
            transitions.progress(session, service_name, now)
            late = [holder.instance_id for holder in held_by if rotation.is_late(holder)]
            record(session, service_name=service_name, version=rotation.version, late=late[:_MOST_NAMED])
            return _status(session, _existing(session, rotation_id))

        return await self.changes.commit(service_name, run)


def _existing(session: Session, rotation_id: str) -> RotationRow:
    row = rotations.find(session, rotation_id)
    if row is None:
        raise NotFound("There is no such rotation. GET /rotations lists them.")
    return row


def _status(session: Session, row: RotationRow) -> RotationStatus:
    rotation = rotations.to_rotation(row)
    if row.last_holders is not None:
        holders = [Holder(**holder) for holder in orjson.loads(row.last_holders)]
    else:
        holders = transitions.holders_of(session, row.service_name)
    return RotationStatus(row.position, rotation, row.requested_by, holders)
