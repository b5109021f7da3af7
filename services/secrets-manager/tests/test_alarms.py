"""What the alert rules watch is told by the gauges."""

import asyncio
from pathlib import Path

from fountain_common.db import Database
from fountain_common.errors import Unavailable
from prometheus_client import CollectorRegistry
from secrets_manager import repository_rotations
from secrets_manager.alarms import Alarms
from secrets_manager.core import MIGRATIONS
from secrets_manager.models_secrets import SecretRow
from secrets_manager.rotation import Rotation, RotationState
from sqlalchemy.orm import Session


class Trail:
    """An audit whose state a test chooses."""

    intact = True
    writable = True

    async def check(self) -> None:
        if not self.writable:
            raise Unavailable("full")

    async def verify(self) -> bool:
        return self.intact


def rotation(name: str, *, overdue: bool, state: RotationState = RotationState.STAGED) -> Rotation:
    return Rotation(
        rotation_id=name, service_name=name, version=2, previous_version=1, state=state, overdue=overdue,
        created_at=0.0, deadline_at=1.0, deadline_seconds=1.0, overlap_seconds=0.0,
    )  # fmt: skip


def add(session: Session, one: Rotation) -> None:
    session.add(SecretRow(service_name=one.service_name, newest_version=2, created_at=0.0, updated_at=0.0))
    session.flush()
    repository_rotations.add_all(session, [(one, "tester", [])])


def test_the_gauges_tell_of_overdue_rotations_and_a_broken_audit(tmp_path: Path) -> None:
    async def story() -> None:
        db = Database(f"sqlite:///{tmp_path}/a.db")
        db.migrate(MIGRATIONS)
        trail, registry = Trail(), CollectorRegistry()
        alarms = Alarms(db, writable=trail.check, verified=trail.verify, registry=registry)

        async def seen() -> tuple[float | None, float | None]:
            await alarms.look()
            names = ("fountain_rotations_overdue", "fountain_audit_broken")
            overdue, broken = (registry.get_sample_value(name) for name in names)
            return overdue, broken

        assert await seen() == (0, 0)
        for one in (
            rotation("late", overdue=True),
            rotation("in-time", overdue=False),
            rotation("given-up", overdue=True, state=RotationState.ABORTED),
        ):
            await db.write(lambda session, one=one: add(session, one))
        assert await seen() == (1, 0)
        trail.writable = False
        assert await seen() == (1, 1)
        trail.writable, trail.intact = True, False
        assert await seen() == (1, 1)
        await db.close()

    asyncio.run(story())
