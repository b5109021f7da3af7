"""What a group of rotations costs does not grow with how many secrets it is about."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from secrets_manager.models_secrets import RotationRow, SecretVersionRow
from secrets_world import World
from sqlalchemy import insert
from sqlalchemy.orm import Session

pytestmark = pytest.mark.anyio

SECRETS = 48
EARLIER = 150
"""So many versions and rotations has each secret had; an index by name has its own page for each."""
FRAME = 4096 + 24
MOST_FRAMES = 80


async def test_it_changes_few_pages(sm: World) -> None:
    names = [f"service-{number}" for number in range(SECRETS)]
    for name in names:
        await sm.create(name)
        await sm.policy(name, overlap_seconds=0)

    def fill(session: Session) -> None:
        earlier = [(name, 1000 + number) for number in range(EARLIER) for name in names]
        same = {"state": "retired", "created_at": 0}
        version = {**same, "sealed": b"", "created_by": "", "changed_at": 0}
        rotation = {
            **same, "previous_version": 0, "overdue": False, "deadline_at": 0, "deadline_seconds": 0,
            "overlap_seconds": 0, "reason": "", "requested_by": "",
        }  # fmt: skip
        record = {"caller": "ada", "action": "secrets:read", "outcome": "allowed", "detail": None}
        keys = [{"service_name": name, "version": number} for name, number in earlier]
        session.execute(insert(SecretVersionRow), [{**version, **key} for key in keys])
        named = [{"rotation_id": f"{key['service_name']}-{key['version']}", **key} for key in keys]
        session.execute(insert(RotationRow), [{**rotation, **key} for key in named])
        targets = [{"target": f"secrets/{name}", "request": None} for name, _ in earlier]
        sm.parts.audit.record_all(session, [{**record, **target} for target in targets])

    await sm.db.write(fill)
    sm.notification_is_up = False  # the commits of its own that handing on events costs
    with closing(sqlite3.connect(str(sm.db.url.database))) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    answers = await asyncio.gather(*(sm.admin.post(f"/secrets/{name}/rotate") for name in names))
    assert [one.status_code for one in answers] == [200] * SECRETS
    journal = Path(f"{sm.db.url.database}-wal")
    assert 0 < journal.stat().st_size <= MOST_FRAMES * FRAME
