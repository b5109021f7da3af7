"""Lists of secrets and of their versions: names, numbers and states, never values."""

from collections.abc import Sequence
from dataclasses import dataclass

from fountain_common.auth import Caller
from fountain_common.errors import NotFound
from fountain_common.requests import current
from sqlalchemy.orm import Session

from secrets_manager import repository_secrets as secrets
from secrets_manager.audit import Audit
from secrets_manager.changes import Changes
from secrets_manager.models_secrets import SecretRow, SecretVersionRow
from secrets_manager.rotation import VersionState


@dataclass(frozen=True)
class Listed:
    """A secret as lists show it."""

    secret: SecretRow
    held: Sequence[SecretVersionRow]

    @property
    def active(self) -> int:
        """The active version; 0 if there is none."""
        return next((row.version for row in self.held if row.state == VersionState.ACTIVE), 0)


@dataclass(frozen=True)
class ListingService:
    """Reads metadata; each reading is audited like any other."""

    changes: Changes
    audit: Audit

    async def page(self, caller: Caller, after: str, limit: int) -> list[Listed]:
        """Return secrets whose names come after `after`."""

        def read(session: Session) -> list[Listed]:
            rows = secrets.page(session, after, limit)
            held = secrets.held_versions(session, [row.service_name for row in rows])
            return [Listed(row, held[row.service_name]) for row in rows]

        found = await self.changes.read(read)
        await self._record(caller, "secrets", count=len(found))
        return found

    async def get(self, service_name: str) -> Listed:
        """Return one secret."""

        def read(session: Session) -> Listed:
            row = secrets.find(session, service_name)
            if row is None:
                raise NotFound(f"There is no secret of {service_name}.")
            return Listed(row, secrets.held_versions(session, [service_name])[service_name])

        return await self.changes.read(read)

    async def versions(
        self, caller: Caller, service_name: str, before: int, limit: int
    ) -> Sequence[SecretVersionRow]:
        """Return versions older than `before`, the newest first."""

        def read(session: Session) -> Sequence[SecretVersionRow]:
            if secrets.find(session, service_name) is None:
                raise NotFound(f"There is no secret of {service_name}.")
            return secrets.version_page(session, service_name, before, limit)

        found = await self.changes.read(read)
        await self._record(caller, f"secrets/{service_name}", count=len(found))
        return found

    async def _record(self, caller: Caller, target: str, **detail: object) -> None:
        await self.audit.append(
            caller=caller, action="secrets:list", target=target, detail=detail, request=current()
        )
