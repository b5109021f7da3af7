"""The main job over HTTP: staged, accepted, active, used, retired."""

import asyncio
import time

import pytest
from secrets_manager import service_secrets
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


def test_an_answer_waits_five_seconds_for_a_version_to_be_active() -> None:
    assert service_secrets.ACTIVATION_SECONDS == 5.0


async def test_an_answer_gives_the_version_staged_when_a_holder_does_not_accept_it_in_time(
    sm: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_secrets, "ACTIVATION_SECONDS", 0.2)
    before = (await sm.admin.get(f"/secrets/{SERVICE}")).json()["secrets"]
    await sm.holder().read()
    began = time.monotonic()
    # Far less than the deadlines of a rotation and of a holder: nothing but that patience ends the wait.
    async with asyncio.timeout(5):
        answer = await sm.admin.post(f"/secrets/{SERVICE}/rotate")
    assert time.monotonic() - began >= 0.2
    assert answer.status_code == 200
    body = answer.json()
    assert (body["version"], body["state"]) == (2, "staged")
    assert body["secrets"].keys() == before.keys()
    assert body["secrets"] != before
    staged = (await sm.admin.get(f"/secrets/{SERVICE}", params={"version": 2})).json()
    assert staged["secrets"] == body["secrets"]
    assert (await sm.rotation(body["rotation_id"]))["state"] == "staged"


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
