"""Holders in all corners: late, dead, starting in the middle, returning, leaving."""

import asyncio
from pathlib import Path

import pytest
from secrets_world import SERVICE, Clock, World, world

pytestmark = pytest.mark.anyio


async def rotate(sm: World, *, patient: bool = False, **body: object) -> str:
    """Begin a rotation and return its id; a patient caller waits for the answer."""
    before = {item["rotation_id"] for item in (await sm.admin.get("/rotations")).json()["items"]}
    begun = asyncio.create_task(sm.admin.post(f"/secrets/{SERVICE}/rotate", json=body))
    if patient:
        return (await begun).json()["rotation_id"]
    async with asyncio.timeout(5):
        while True:
            items = (await sm.admin.get("/rotations")).json()["items"]
            new = [item["rotation_id"] for item in items if item["rotation_id"] not in before]
            if new:
                begun.cancel()
                return str(new[0])
            await asyncio.sleep(0.005)


async def state(sm: World, rotation_id: str) -> str:
    return str((await sm.rotation(rotation_id))["state"])


async def test_a_reader_without_an_instance_holds_up_nobody(sm: World) -> None:
    await sm.as_(f"{SERVICE}:service").get(f"/secrets/{SERVICE}")
    assert await state(sm, await rotate(sm, patient=True)) == "draining"


async def test_a_holder_that_dies_while_staged_holds_up_the_rotation_for_its_time_to_live_and_no_longer(
    sm: World,
) -> None:
    await sm.holder(1).read()
    rotation = await rotate(sm)
    await sm.pass_time(85)
    assert await state(sm, rotation) == "staged"
    await sm.pass_time(10)
    assert await state(sm, rotation) == "draining"


async def test_a_holder_that_dies_while_the_previous_version_drains_does_not_keep_it_for_ever(
    sm: World,
) -> None:
    await sm.policy(overlap_seconds=30)
    dying = sm.holder(1)
    await dying.read()
    rotation = await rotate(sm)
    await dying.ack(2, "accepts")
    assert await state(sm, rotation) == "active"
    await sm.pass_time(95)
    assert await state(sm, rotation) == "draining"
    await sm.pass_time(31)
    assert await state(sm, rotation) == "retired"


async def test_a_conditional_read_keeps_a_holder_alive(sm: World) -> None:
    holder = sm.holder(1)
    await holder.read()
    for _ in range(4):
        await sm.pass_time(60)
        assert (await holder.read(conditional=True)).status_code == 304
    assert await state(sm, await rotate(sm)) == "staged"


async def test_a_holder_that_leaves_is_waited_for_no_more(sm: World) -> None:
    holder = sm.holder(1)
    await holder.read()
    rotation = await rotate(sm)
    assert (await holder.leave()).status_code == 204
    assert await state(sm, rotation) == "draining"
    assert (await holder.leave()).status_code == 204
    assert (await holder.ack(2, "accepts")).status_code == 409


async def test_an_instance_that_starts_in_the_middle_must_accept_what_is_staged(sm: World) -> None:
    old, new = sm.holder(1), sm.holder(2)
    await old.read()
    rotation = await rotate(sm)
    staged = (await new.read()).json()["versions"]
    assert [version["state"] for version in staged] == ["staged", "active"]
    await old.ack(2, "accepts")
    assert await state(sm, rotation) == "staged"
    await new.ack(2, "accepts")
    assert await state(sm, rotation) == "active"


async def test_an_instance_that_starts_while_the_previous_version_drains_does_not_begin_the_overlap_anew(
    sm: World,
) -> None:
    await sm.policy(overlap_seconds=60)
    rotation = await rotate(sm, patient=True)
    await sm.pass_time(40)
    await sm.holder(1).read()
    await sm.pass_time(21)
    assert await state(sm, rotation) == "retired"


async def test_an_instance_that_was_away_is_asked_anew_what_it_uses(sm: World) -> None:
    away = sm.holder(1)
    await away.read()
    await sm.pass_time(95)
    rotation = await rotate(sm, patient=True)
    assert await state(sm, rotation) == "draining"
    back = await away.read(conditional=True)
    assert back.status_code == 200
    assert await state(sm, rotation) == "active"
    assert (await sm.rotation(rotation))["holders"][0]["late"]
    await away.ack(2, "uses")
    assert await state(sm, rotation) == "draining"


async def test_an_instance_that_was_away_is_asked_anew_though_it_reads_as_if_it_were_fresh(sm: World) -> None:
    away, fresh = sm.holder(1), sm.holder(2)
    await away.read()
    await sm.pass_time(95)
    rotation = await rotate(sm, patient=True)
    assert (await away.read()).json()["version"] == 2
    assert await state(sm, rotation) == "active"
    await away.ack(2, "uses")
    assert await state(sm, rotation) == "draining"
    await fresh.read()
    assert await state(sm, rotation) == "draining"


async def test_an_instance_that_was_away_gets_everything_even_if_nothing_changed(sm: World) -> None:
    away = sm.holder(1)
    await away.read()
    await sm.pass_time(95)
    assert (await away.read(conditional=True)).status_code == 200
    assert (await away.read(conditional=True)).status_code == 304


async def test_a_late_acknowledgement_ends_an_overdue_rotation(sm: World) -> None:
    await sm.policy(deadline_seconds=10)
    holder = sm.holder(1)
    await holder.read()
    rotation = await rotate(sm)
    await sm.pass_time(11)
    found = await sm.rotation(rotation)
    assert (found["state"], found["overdue"]) == ("overdue", True)
    assert [
        item["rotation_id"] for item in (await sm.operator.get("/rotations?state=overdue")).json()["items"]
    ] == [rotation]
    await holder.ack(2, "accepts")
    assert await state(sm, rotation) == "active"


async def test_an_operator_forces_or_aborts_what_is_overdue(sm: World) -> None:
    await sm.policy(deadline_seconds=10)
    holder = sm.holder(1)
    await holder.read()
    first = await rotate(sm)
    await sm.pass_time(11)
    assert await state(sm, first) == "overdue"
    aborted = (await sm.operator.post(f"/rotations/{first}/abort")).json()
    assert (aborted["state"], aborted["overdue"]) == ("aborted", False)
    assert (await sm.operator.post(f"/rotations/{first}/force")).status_code == 409
    second = await rotate(sm)
    await sm.pass_time(11)
    assert await state(sm, second) == "overdue"
    assert (await sm.operator.post(f"/rotations/{second}/force")).json()["state"] == "active"
    assert (await sm.operator.post(f"/rotations/{second}/abort")).status_code == 409
    await sm.pass_time(11)
    assert await state(sm, second) == "overdue"
    assert (await sm.operator.post(f"/rotations/{second}/force")).json()["state"] == "retired"
    versions = (await sm.operator.get(f"/secrets/{SERVICE}/versions")).json()["items"]
    assert [version["state"] for version in versions] == ["active", "aborted", "retired"]
    async with asyncio.timeout(10):
        while len(sm.events) < 8:
            await asyncio.sleep(0.01)
    assert [(event["type"], event["data"]["version"]) for event in sm.events] == [
        ("secret.staged", 2),
        ("secret.rotation-overdue", 2),
        ("secret.aborted", 2),
        ("secret.staged", 3),
        ("secret.rotation-overdue", 3),
        ("secret.rotated", 3),
        ("secret.rotation-overdue", 3),
        ("secret.retired", 1),
    ]
    assert {event["data"]["rotation_id"] for event in sm.events[:3]} == {first}


async def test_a_second_rotation_supersedes_the_staged_one_and_keeps_what_it_chose(sm: World) -> None:
    holder = sm.holder(1)
    await holder.read()
    first = await rotate(sm, newSecrets={"SMTP_PASSWORD": "chosen"}, keys=[])
    second = await rotate(sm)
    assert await state(sm, first) == "superseded"
    await holder.ack(3, "accepts")
    assert await state(sm, second) == "active"
    read = (await holder.read()).json()
    assert read["secrets"]["SMTP_PASSWORD"] == "chosen"
    assert [version["version"] for version in read["versions"]] == [3, 1]


async def test_two_rotations_in_quick_succession_drain_side_by_side(sm: World) -> None:
    await sm.policy(overlap_seconds=30)
    first = await rotate(sm, patient=True)
    await sm.pass_time(10)
    second = await rotate(sm, patient=True)
    read = (await sm.admin.get(f"/secrets/{SERVICE}")).json()["versions"]
    assert [version["state"] for version in read] == ["active", "draining", "draining"]
    await sm.pass_time(21)
    assert (await state(sm, first), await state(sm, second)) == ("retired", "draining")
    await sm.pass_time(10)
    assert await state(sm, second) == "retired"


async def test_immediately_waits_for_nobody(sm: World) -> None:
    await sm.holder(1).read()
    answer = (await sm.admin.post(f"/secrets/{SERVICE}/rotate", json={"immediate": True})).json()
    assert answer["state"] == "active"
    assert await state(sm, answer["rotation_id"]) == "retired"


async def test_after_its_own_downtime_every_holder_gets_a_full_time_to_live(tmp_path: Path) -> None:
    clock = Clock()
    async with world(tmp_path, clock=clock) as first:
        await first.create()
        await first.holder(1).read()
        rotation = await rotate(first)
    clock.advance(3600)
    async with world(tmp_path, clock=clock) as second:
        await second.pass_time(80)
        assert (await second.rotation(rotation))["holders"] != []
        assert await state(second, rotation) == "overdue"
        assert (await second.holder(1).ack(2, "accepts")).status_code == 200
        assert await state(second, rotation) == "active"


async def test_while_notification_is_down_rotations_go_on_and_their_events_wait(sm: World) -> None:
    sm.notification_is_up = False
    holder = sm.holder(1)
    await holder.read()
    rotation = await rotate(sm)
    assert (await holder.read(conditional=True)).status_code == 200
    await holder.ack(2, "accepts")
    await holder.ack(2, "uses")
    assert await state(sm, rotation) == "draining"
    assert sm.events == []
    sm.notification_is_up = True
    async with asyncio.timeout(10):
        while len(sm.events) < 2:
            await asyncio.sleep(0.05)
    assert [event["type"] for event in sm.events] == ["secret.staged", "secret.rotated"]


async def test_a_scheduled_rotation_happens_once_for_a_moment_however_long_the_service_was_away(
    tmp_path: Path,
) -> None:
    clock = Clock()
    async with world(tmp_path, clock=clock) as first:
        await first.create()
        await first.policy(interval_seconds=3600, overlap_seconds=0)
        await first.pass_time(1800)
        assert (await first.admin.get("/rotations")).json()["items"] == []
    clock.advance(10 * 3600)
    async with world(tmp_path, clock=clock) as second:
        await second.pass_time(0)
        await second.pass_time(0)
        items = (await second.admin.get("/rotations")).json()["items"]
        assert [(item["reason"], item["requested_by"]) for item in items] == [
            ("scheduled", "secrets-manager")
        ]
        await second.pass_time(3601)
        assert len((await second.admin.get("/rotations")).json()["items"]) == 2


async def test_a_schedule_does_not_push_a_staged_rotation_aside(sm: World) -> None:
    await sm.holder(1).read()
    rotation = await rotate(sm)
    await sm.policy(interval_seconds=60)
    await sm.pass_time(70)
    assert await state(sm, rotation) == "staged"


async def test_without_its_policy_a_secret_rotates_when_it_is_asked_to_and_in_the_usual_times(
    sm: World,
) -> None:
    path = f"/secrets/{SERVICE}/rotation-policy"
    await sm.policy(interval_seconds=60, overlap_seconds=7, deadline_seconds=9)
    assert (await sm.admin.delete(path)).status_code == 204
    assert [(await sm.admin.request(method, path)).status_code for method in ("GET", "DELETE")] == [404, 404]
    for _ in range(3):
        await sm.pass_time(61)
    assert await sm.rotations(SERVICE) == []
    begun = await sm.rotation(await rotate(sm))
    assert (begun["reason"], begun["version"]) == ("rotate", 2)
    assert (begun["overlap_seconds"], begun["deadline_seconds"]) == (900, 300)


async def test_a_moment_of_a_cron_policy_begins_one_rotation_however_often_anybody_looks(sm: World) -> None:
    def left() -> float:
        return 1800 - sm.clock() % 1800

    sm.clock.advance(left() + 1)
    await sm.policy(cron="*/30 * * * *", overlap_seconds=0)

    async def rotations_after(seconds: float) -> int:
        await sm.pass_time(seconds)
        await asyncio.gather(*(sm.parts.driver.look() for _ in range(3)))
        return len(await sm.rotations(SERVICE))

    assert await rotations_after(left() - 30) == 0
    assert await rotations_after(40) == 1
    assert await rotations_after(left() - 30) == 1
    assert await rotations_after(40) == 2
    # Of many moments that were missed, one is made good.
    assert await rotations_after(5 * 1800) == 3
    items = await sm.rotations(SERVICE)
    assert {(item["reason"], item["requested_by"]) for item in items} == {("scheduled", "secrets-manager")}
    assert (await sm.admin.get(f"/secrets/{SERVICE}")).json()["version"] == 4


@pytest.mark.parametrize(
    "policy",
    [
        {"cron": "nonsense"},
        {"cron": "0 0 30 2 *"},
        {"cron": "* * * * * *"},
        {"cron": "0 3 * * 0", "interval_seconds": 3600},
        {"interval_seconds": 5},
        {"overlap_seconds": -1},
    ],
)
async def test_a_policy_that_cannot_be_kept_is_refused(sm: World, policy: dict) -> None:
    assert (await sm.admin.put(f"/secrets/{SERVICE}/rotation-policy", json=policy)).status_code == 422
    assert (await sm.admin.get(f"/secrets/{SERVICE}/rotation-policy")).status_code == 404
