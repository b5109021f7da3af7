"""Rotation policies, and the rotations that they ask for."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from fountain_common.auth import Caller
from fountain_common.errors import NotFound, Unprocessable
from fountain_common.logging import get_logger
from sqlalchemy.orm import Session

from secrets_manager import policies, values
from secrets_manager import repository_policies as repository
from secrets_manager import repository_secrets as secrets
from secrets_manager.audit import Audit
from secrets_manager.changes import Changes
from secrets_manager.generate import generate_for
from secrets_manager.intents import Intent, Wish
from secrets_manager.models_secrets import PolicyRow
from secrets_manager.policies import InvalidPolicyError, Policy
from secrets_manager.recording import Record, recorder
from secrets_manager.rotating import StillDrainingError
from secrets_manager.rotation import VersionState
from secrets_manager.service_secrets import SecretsService
from secrets_manager.values import UnchangedError, Values

#: A moment that has come while the rotation before is still staged is looked at again so much later.
_LOOK_AGAIN_SECONDS: Final = 2.0


@dataclass
class PoliciesService:
    """Keeps policies, and rotates by them exactly once for each moment.

    `next_look` is when `rotate_due` may have something to do.
    """

    changes: Changes
    secrets: SecretsService
    audit: Audit
    clock: Callable[[], float]
    next_look: float = 0.0
    _held_back: set[str] = field(default_factory=set)

    async def set(self, caller: Caller, service_name: str, policy: Policy) -> PolicyRow:
        """Put a policy in the place of the one before."""
        try:
            # Its moments of four years may be asked for.
            await asyncio.to_thread(policies.check, policy)
        except InvalidPolicyError as failure:
            raise Unprocessable(str(failure)) from failure
        record = self._recorder(caller, service_name)

        def run(session: Session) -> PolicyRow:
            now = self.clock()
            if secrets.find(session, service_name) is None:
                raise NotFound(f"There is no secret of {service_name}.")
            row = session.merge(
                PolicyRow(
                    service_name=service_name,
                    cron=policy.cron,
                    interval_seconds=policy.interval_seconds,
                    overlap_seconds=policy.overlap_seconds,
                    deadline_seconds=policy.deadline_seconds,
                    next_at=policies.next_after(policy, now),
                    updated_at=now,
                )
            )
            session.flush()
            record(session, operation="set", next_at=row.next_at)
            return row

        row = await self.changes.commit(service_name, run, self._look_now)
        self._held_back.discard(service_name)
        return row

    async def get(self, service_name: str) -> PolicyRow:
        """Return a policy, or NotFound."""
        row = await self.changes.read(lambda session: repository.find(session, service_name))
        if row is None:
            raise NotFound(f"There is no rotation policy for {service_name}.")
        return row

    async def delete(self, caller: Caller, service_name: str) -> None:
        """Remove a policy, or NotFound."""
        record = self._recorder(caller, service_name)

        def run(session: Session) -> None:
            row = repository.find(session, service_name)
            if row is None:
                raise NotFound(f"There is no rotation policy for {service_name}.")
            session.delete(row)
            record(session, operation="delete")

        await self.changes.commit(service_name, run)
        self._held_back.discard(service_name)

    async def rotate_due(self) -> None:
        """Begin the rotations whose moment has come."""
        now = self.clock()
        self.next_look = math.inf  # a policy that is set from here on brings it forward
        try:
            for service_name in await self.changes.read(lambda session: repository.due(session, now)):
                intent = Intent(None, "scheduled")
                rotate = partial(
                    self._rotate, service_name, intent, self.secrets.recorder(intent, service_name)
                )
                try:
                    await self.changes.commit(service_name, rotate)
                    self._held_back.discard(service_name)
                except StillDrainingError as failure:
                    self._say_that_it_waits(service_name, failure)
                except Exception as failure:  # noqa: BLE001 - its moment stays due, and the others have theirs
                    get_logger().error("scheduled_rotation_failed", secret_of=service_name, exc_info=failure)
            earliest = await self.changes.read(repository.earliest)
        except Exception:
            self._look_now()
            raise
        if earliest is not None:
            self.next_look = min(self.next_look, max(earliest, now + _LOOK_AGAIN_SECONDS))

    async def mend(self) -> None:
        """Bring forward what was put off by a clock that was far ahead and has been set right."""
        now = self.clock()
        rows = await self.changes.read(repository.everyone)
        for row in rows:
            if policies.mended(repository.to_policy(row), row.next_at, now) != row.next_at:
                await self.changes.commit(
                    row.service_name, partial(self._mend, row.service_name), self._look_now
                )

    def _mend(self, service_name: str, session: Session) -> None:
        row = repository.find(session, service_name)
        if row is not None:
            row.next_at = policies.mended(repository.to_policy(row), row.next_at, self.clock())

    def _say_that_it_waits(self, service_name: str, why: StillDrainingError) -> None:
        """Log once, and not at each look, that a moment has come and waits until fewer versions drain."""
        if service_name not in self._held_back:
            self._held_back.add(service_name)
            get_logger().warning("scheduled_rotation_waits", secret_of=service_name, reason=why.detail)

    def _look_now(self, _row: object = None) -> None:
        self.next_look = 0.0
        self.changes.wake()

    def _rotate(self, service_name: str, intent: Intent, record: Record, session: Session) -> None:
        """Rotate and move the moment on in one transaction, so that a kill does neither or both.

        A rotation that is still staged is not pushed aside: its moment waits until it has gone on.
        """
        now = self.clock()
        row = repository.find(session, service_name)
        if row is None or not policies.due(row.next_at, now):
            return
        if secrets.version_in(session, service_name, VersionState.STAGED) is not None:
            return
        row.next_at = policies.next_after(repository.to_policy(row), now)
        row.updated_at = now
        try:
            self.secrets.rotate_in(session, Wish(service_name, intent, _renewed, record))
        except UnchangedError:
            get_logger().warning("scheduled_rotation_has_nothing_to_change", secret_of=service_name)

    def _recorder(self, caller: Caller, service_name: str) -> Record:
        return recorder(self.audit, caller, "policies:write", f"secrets/{service_name}")


def _renewed(base: Values) -> Values:
    return values.rotated(base, {}, None, generate_for)
