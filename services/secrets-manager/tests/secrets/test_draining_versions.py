"""How many versions of a secret may drain at once: every reader is handed all of them."""

import io
from pathlib import Path

import httpx2
import pytest
from fountain_common.logging import configure
from secrets_manager.policies import MOST_DRAINING
from secrets_manager.settings import Settings
from secrets_world import SERVICE, World
from sqlalchemy.orm import Session

pytestmark = pytest.mark.anyio


async def rotate(sm: World, **body: object) -> httpx2.Response:
    return await sm.admin.post(f"/secrets/{SERVICE}/rotate", json=body)


async def states(sm: World) -> list[str]:
    return [one["state"] for one in (await sm.admin.get(f"/secrets/{SERVICE}")).json()["versions"]]


async def full(sm: World) -> None:
    """Rotate as often as may be, one second after the other."""
    await sm.policy(overlap_seconds=900)
    for _ in range(MOST_DRAINING):
        assert (await rotate(sm)).status_code == 200
        sm.clock.advance(1)
    assert await states(sm) == ["active", *["draining"] * MOST_DRAINING]


async def test_no_more_versions_drain_than_a_reader_can_be_handed_and_the_refusal_says_what_to_do(
    sm: World,
) -> None:
    await full(sm)
    for answer in (
        await rotate(sm),
        await rotate(sm, keys=["JWT_SECRET"]),
        await sm.admin.put(f"/secrets/{SERVICE}", json={"A": "b"}),
    ):
        assert answer.status_code == 409
        said = answer.json()["detail"]
        words = (f"{MOST_DRAINING} versions", "Wait", "`fountain rotations force`", "`immediate`")
        assert all(word in said for word in words), said
    assert len(await states(sm)) == 1 + MOST_DRAINING
    await sm.pass_time(900 - MOST_DRAINING + 1)
    assert (await states(sm)).count("draining") < MOST_DRAINING
    assert (await rotate(sm)).status_code == 200


async def test_a_refused_rotation_is_not_remembered_as_the_answer_to_its_key(sm: World) -> None:
    await full(sm)
    path, headers = f"/secrets/{SERVICE}/rotate", {"Idempotency-Key": "once"}
    assert (await sm.admin.post(path, headers=headers)).status_code == 409
    await sm.pass_time(900)
    assert (await sm.admin.post(path, headers=headers)).json()["version"] == MOST_DRAINING + 2


async def test_an_immediate_rotation_is_never_refused_and_clears_what_drains(sm: World) -> None:
    await full(sm)
    assert (await rotate(sm, immediate=True)).status_code == 200
    assert await states(sm) == ["active"]
    assert (await rotate(sm)).status_code == 200


async def test_forcing_a_rotation_ends_its_overlap_and_makes_room_for_another(sm: World) -> None:
    await full(sm)
    (newest, *_) = await sm.rotations(SERVICE)
    assert (await sm.admin.post(f"/rotations/{newest['rotation_id']}/force")).status_code == 200
    assert (await states(sm)).count("draining") == MOST_DRAINING - 1
    assert (await rotate(sm)).status_code == 200


async def test_what_is_staged_is_still_activated_and_superseded(sm: World) -> None:
    await sm.policy(overlap_seconds=900)
    for _ in range(MOST_DRAINING - 1):
        assert (await rotate(sm)).status_code == 200
    holder = sm.holder(1)
    await holder.read()
    await sm.begin_rotation()
    await sm.begin_rotation()
    await holder.ack(MOST_DRAINING + 2, "accepts")
    assert (await states(sm)).count("draining") == MOST_DRAINING
    assert (await rotate(sm)).status_code == 409


async def test_a_schedule_that_meets_too_many_says_so_once_and_goes_on_once_there_are_fewer(
    sm: World, tmp_path: Path
) -> None:
    await full(sm)
    log = io.StringIO()
    configure(Settings(data_dir=tmp_path, kek_file=tmp_path / "kek"), log)
    await sm.policy(overlap_seconds=900, interval_seconds=60)
    newest = (await sm.rotations(SERVICE))[0]["version"]
    for _ in range(3):
        await sm.pass_time(61)
    assert (await sm.rotations(SERVICE))[0]["version"] == newest
    said = [line for line in log.getvalue().splitlines() if "scheduled_rotation" in line]
    assert len(said) == 1, said
    assert "scheduled_rotation_waits" in said[0]
    await sm.pass_time(900 - 3 * 61)
    await sm.pass_time(3)
    (item, *_) = await sm.rotations(SERVICE)
    assert (item["version"], item["reason"]) == (newest + 1, "scheduled")


async def test_a_start_that_wants_to_add_keys_goes_on_without_and_says_so(sm: World, tmp_path: Path) -> None:
    await full(sm)
    log = io.StringIO()
    configure(Settings(data_dir=tmp_path, kek_file=tmp_path / "kek"), log)

    def provide(session: Session) -> bool:
        return sm.parts.provide(session, SERVICE, generated=["ANOTHER_KEY"])

    assert await sm.db.write(provide) is False
    assert log.getvalue().count("generated_keys_not_added") == 1
    await sm.pass_time(900)
    assert await sm.db.write(provide) is True
