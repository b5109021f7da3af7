"""Indexes by era: they find what there is, the newest first, and go over nothing else."""

from collections.abc import AsyncIterator, Iterator
from functools import partial
from itertools import pairwise, product
from pathlib import Path

import pytest
from fountain_common.db import Database
from hypothesis import given
from hypothesis import strategies as st
from secrets_manager import eras
from secrets_manager.audit import Audit
from secrets_manager.audit_reading import AuditReading, Filter
from secrets_manager.core import MIGRATIONS
from secrets_manager.eras import ERA_ROWS, newest_first
from secrets_manager.models_audit import AuditRow
from secrets_manager.models_secrets import RotationRow, SecretRow, SecretVersionRow
from sqlalchemy import event, insert, select
from sqlalchemy.orm import Session

pytestmark = pytest.mark.anyio

ROWS = 5 * ERA_ROWS + 7
FIRST = ERA_ROWS - 3
"""What was before was pruned."""
RARE = {FIRST, 2 * ERA_ROWS, 2 * ERA_ROWS - 1, FIRST + ROWS - 1}


def caller(seq: int) -> str:
    return "seldom" if seq in RARE else f"often-{seq % 3}"


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    db = Database(f"sqlite:///{tmp_path}/audit.db")
    db.migrate(MIGRATIONS)
    rows = [
        {
            "seq": seq, "at": float(seq), "caller": caller(seq), "key_id": "", "action": "secrets:read",
            "target": f"secrets/{caller(seq)}", "outcome": "allowed", "detail": "{}", "client": "",
            "through_edge": False, "request_id": "", "previous": b"", "hash": b"", "mac": b"",
        }
        for seq in range(FIRST, FIRST + ROWS)
    ]  # fmt: skip
    await db.write(lambda session: session.execute(insert(AuditRow), rows))
    yield db
    await db.close()


@given(st.integers(0, 5000), st.integers(0, 5000))
def test_each_era_is_looked_into_once_the_newest_first(one: int, other: int) -> None:
    oldest, newest = sorted((one, other))
    portions = list(eras._portions(newest, oldest))
    assert [era for portion in portions for era in portion] == list(range(newest, oldest - 1, -1))
    sizes = [len(portion) for portion in portions]
    assert sizes[0] == 1
    assert max(sizes) <= eras._MOST_ERAS
    assert all(later <= 4 * earlier for earlier, later in pairwise(sizes))


async def test_it_finds_what_going_over_all_rows_finds(db: Database) -> None:
    limits = (1, 2, 100, ROWS)
    ends = (None, 0, FIRST, FIRST + 1, 2 * ERA_ROWS, 3 * ERA_ROWS + 1, 10**9)
    for name, before, limit in product(("seldom", "often-1", "never"), ends, limits):
        query = select(AuditRow.seq).where(AuditRow.caller == name)
        find = partial(newest_first, query=query, position=AuditRow.seq, limit=limit, before=before)
        end = FIRST + ROWS if before is None else min(before, FIRST + ROWS)
        every = [seq for seq in reversed(range(FIRST, end)) if caller(seq) == name]
        assert [row[0] for row in await db.read(find)] == every[:limit], (name, before, limit)


@pytest.fixture
def asked(db: Database) -> Iterator[list[tuple[str, object]]]:
    """Every statement from here on, with its parameters."""
    found: list[tuple[str, object]] = []

    def note(
        _connection: object, _cursor: object, statement: str, parameters: object, *_rest: object
    ) -> None:
        found.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", note)
    yield found
    event.remove(db.engine, "before_cursor_execute", note)


@pytest.mark.parametrize(
    ("query", "position", "index"),
    [
        (select(AuditRow).where(AuditRow.caller == "x"), AuditRow.seq, "ix_audit_records_caller"),
        (
            select(AuditRow).where(AuditRow.target >= "secrets/x", AuditRow.target < "secrets/x0"),
            AuditRow.seq,
            "ix_audit_records_target",
        ),
        (
            select(RotationRow).where(RotationRow.service_name == "x"),
            RotationRow.position,
            "ix_rotations_era",
        ),
        (
            select(SecretVersionRow).where(
                SecretVersionRow.service_name == "x", SecretVersionRow.version < 9
            ),
            SecretVersionRow.position,
            "ix_secret_versions_era",
        ),
    ],
)
async def test_no_table_is_gone_over(db, asked, query, position, index):
    def fill(session: Session) -> None:
        session.add(SecretRow(service_name="a", newest_version=1, created_at=0, updated_at=0))
        session.flush()
        version = {"service_name": "a", "version": 1, "state": "retired"}
        moments = {"created_at": 0, "changed_at": 0, "created_by": ""}
        session.execute(insert(SecretVersionRow).values(**version, **moments))
        times = {"created_at": 0, "deadline_at": 0, "deadline_seconds": 0, "overlap_seconds": 0}
        more = {"rotation_id": "r", "previous_version": 0, "overdue": False, "reason": "", "requested_by": ""}
        session.execute(insert(RotationRow).values(**version, **times, **more))

    await db.write(fill)
    asked.clear()
    with Session(db.engine) as session:
        assert newest_first(session, query, position, limit=10) == []
    statements = list(asked)
    assert len(statements) >= 3
    with db.engine.connect() as connection:
        for statement, parameters in statements:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).scalars("detail")
            steps = [step for step in plan if " TABLE " in step or "SCAN" in step or "SEARCH" in step]
            wanted = "SEARCH" if "min(" in statement or "max(" in statement else index
            assert steps
            assert all(wanted in step for step in steps), (statement, steps)


@pytest.mark.parametrize("wanted", ["a", "a/b", "a-b", "a%", "a_", "A", "ä", "a0", "", "b"])
async def test_a_target_is_found_with_what_is_below_it_and_nothing_beside_it(tmp_path, wanted):
    there = [
        "a",
        "a/",
        "a/b",
        "a/b/c",
        "a-b",
        "a.b",
        "a0",
        "a%",
        "a%/x",
        "a_",
        "a_/x",
        "ax/x",
        "A",
        "A/b",
        "ä/b",
    ]
    db = Database(f"sqlite:///{tmp_path}/audit.db")
    db.migrate(MIGRATIONS)
    audit = Audit(db, b"k" * 32)
    for target in there:
        await audit.append(caller="ada", action="secrets:read", target=target)
    found = await AuditReading(db).page(Filter(target=wanted), None, 100)
    await audit.close()
    await db.close()
    below = [target for target in there if target == wanted or target.startswith(f"{wanted}/")]
    assert [record.entry.target for record in found] == below[::-1]
