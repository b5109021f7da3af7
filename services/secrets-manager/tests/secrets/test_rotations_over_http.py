"""The main job over HTTP: staged, accepted, active, used, retired."""

import asyncio

import pytest
from secrets_world import SERVICE, World

pytestmark = pytest.mark.anyio


async def settled(sm: World, rotation_id: str, state: str) -> dict:
    async with asyncio.timeout(5):
        while (found := await sm.rotation(rotation_id))["state"] != state:
            await asyncio.sleep(0.01)
    return found


async def test_without_holders_a_rotation_is_active_at_once(sm: World) -> None:
    answer = await sm.admin.post(f"/secrets/{SERVICE}/rotate")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["version"], body["state"]) == (2, "active")
    read = (await sm.admin.get(f"/secrets/{SERVICE}")).json()
    assert read["secrets"] == body["secrets"]
    assert [(v["version"], v["state"]) for v in read["versions"]] == [(2, "active"), (1, "draining")]


async def test_nobody_uses_a_version_before_all_accept_it_and_none_retires_before_all_let_go(
    sm: World,
) -> None:
    await sm.policy(overlap_seconds=5)
    one, two = sm.holder(1), sm.holder(2)
    assert (await one.read()).json()["version"] == 1
    await two.read()
    rotate = asyncio.create_task(sm.operator.post(f"/secrets/{SERVICE}/rotate"))
    while "staged" not in (await one.read(conditional=True)).text:
        await asyncio.sleep(0.01)
    assert (await one.ack(2, "accepts")).status_code == 200
    assert (await one.ack(2, "uses")).status_code == 409
    assert (await one.read()).json()["version"] == 1
    assert not rotate.done()
    await two.ack(2, "accepts")
    answer = (await asyncio.wait_for(rotate, 5)).json()
    assert (answer["state"], answer["secrets"]) == ("active", {})
    assert (await one.read()).json()["version"] == 2
    await one.ack(2, "uses")
    await sm.pass_time(60)
    found = await sm.rotation(answer["rotation_id"])
    assert found["state"] == "active"
    assert [holder["late"] for holder in found["holders"]] == [False, True]
    await two.ack(2, "uses")
    assert (await sm.rotation(answer["rotation_id"]))["state"] == "draining"
    await sm.pass_time(4)
    assert (await sm.rotation(answer["rotation_id"]))["state"] == "draining"
    await sm.pass_time(2)
    assert (await sm.rotation(answer["rotation_id"]))["state"] == "retired"
    states = (await sm.operator.get(f"/secrets/{SERVICE}/versions")).json()["items"]
    assert [(v["version"], v["state"]) for v in states] == [(2, "active"), (1, "retired")]
    async with asyncio.timeout(5):
        while len(sm.events) < 3:
            await asyncio.sleep(0.01)
    assert [(event["type"], event["data"]["version"]) for event in sm.events] == [
        ("secret.staged", 2),
        ("secret.rotated", 2),
        ("secret.retired", 1),
    ]
