"""A value is in no refusal, no log, no event, no audit record and no file, whatever fails."""

import json
from pathlib import Path

import pytest
from secrets_manager.models_audit import AuditRow
from secrets_world import SERVICE, World, world
from sqlalchemy import select, text

pytestmark = pytest.mark.anyio

MARKER = "m4rk3r-value-that-nobody-else-may-see"


async def everything(sm: World) -> None:
    """Use the marker in every way that is right and in many that are wrong."""
    rotate = f"/secrets/{SERVICE}/rotate"
    await sm.create(given={"A": MARKER})
    await sm.admin.put(f"/secrets/{SERVICE}", json={"A": MARKER, "B": MARKER})
    await sm.admin.post(rotate, json={"newSecrets": {"C": MARKER}}, headers={"Idempotency-Key": "k"})
    for wrong in (
        {"newSecret": {"A": MARKER}},
        {"newSecrets": {"a": MARKER}},
        {"newSecrets": {"A": MARKER + "\0"}},
    ):
        answer = await sm.admin.post(rotate, json=wrong)
        assert answer.status_code == 422
        assert MARKER not in answer.text
    unreadable = await sm.admin.post(rotate, content=f'{{"newSecrets": {{"A": "{MARKER}"', headers=JSON)
    assert (unreadable.status_code, MARKER in unreadable.text) == (400, False)


JSON = {"Content-Type": "application/json"}


async def test_a_value_leaves_by_the_answer_to_its_reader_alone(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    async with world(folder) as sm:
        await everything(sm)
        await sm.db.write(lambda session: session.execute(text("ALTER TABLE secret_versions RENAME TO away")))
        broken = await sm.admin.put(f"/secrets/{SERVICE}", json={"A": MARKER})
        assert (broken.status_code >= 500, MARKER in broken.text) == (True, False)
        audit = await sm.db.read(lambda session: [vars(row) for row in session.scalars(select(AuditRow))])
        events = json.dumps(sm.events)
        metrics = (await sm.admin.get("/metrics")).text
    assert MARKER not in str(audit)
    assert MARKER not in events
    for counted in ('status="422"', "fountain_audit_records", "fountain_outbox_accepted"):
        assert counted in metrics
    assert MARKER not in metrics
    log = (tmp_path / "state.log").read_text()
    assert "request" in log
    assert MARKER not in log
    for file in folder.iterdir():
        assert MARKER.encode() not in file.read_bytes(), file.name


async def test_on_a_full_disk_nothing_is_kept_and_nothing_is_given_away(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    async with world(folder) as sm:
        await sm.create(given={"A": MARKER})
        sm.notification_is_up = False
        await sm.db.write(
            lambda session: session.execute(text("PRAGMA max_page_count = 1"))
        )  # as many as now
        answers = []
        for number in range(400):
            value = f"{MARKER}-{number}-{'x' * 8000}"
            answers.append(await sm.admin.put(f"/secrets/{SERVICE}", json={"A": value}))
            if answers[-1].status_code != 200:
                break
        assert answers[-1].status_code == 503
        assert MARKER not in answers[-1].text
        # What cannot be put on record is not given out.
        reads = [await sm.admin.get(f"/secrets/{SERVICE}") for _ in range(100)]
        refused = [read for read in reads if read.status_code == 503]
        assert refused
        assert all(MARKER not in read.text for read in refused)
        metrics = (await sm.admin.get("/metrics")).text
        assert ("fountain" in metrics, MARKER in metrics) == (True, False)
        await sm.db.write(lambda session: session.execute(text("PRAGMA max_page_count = 1000000")))
        whole = (await sm.admin.get(f"/secrets/{SERVICE}")).json()
        assert whole["version"] == len(answers)
        events = json.dumps(sm.events)
    assert MARKER not in events
    assert MARKER not in (tmp_path / "state.log").read_text()
