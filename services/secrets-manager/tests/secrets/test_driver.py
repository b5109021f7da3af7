"""Who is a holder in memory is one in the database, in whatever order acknowledgements and expiry come."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from fountain_common.auth import Caller
from fountain_common.errors import Unavailable
from secrets_manager.driver import Driver
from secrets_manager.holders import HolderKey
from secrets_manager.repository_rotations import all_holders, remove_holder
from secrets_manager.service_holders import NoHolderError
from secrets_world import SERVICE, World

pytestmark = pytest.mark.anyio

CALLER = Caller(SERVICE, ("service",), SERVICE, "key", "jti", ("secrets-manager",), 0.0, 2e9)


@asynccontextmanager
async def busy_writer(sm: World) -> AsyncIterator[None]:
    """Whatever is written meanwhile waits, in its order."""
    begun, go_on = threading.Event(), threading.Event()

    def block(_session: object) -> None:
        begun.set()
        go_on.wait(10)

    blocking = asyncio.create_task(sm.db.write(block))
    await asyncio.to_thread(begun.wait, 10)
    try:
        yield
    finally:
        go_on.set()
        await blocking


async def queued(work: Any) -> "asyncio.Task[Any]":
    """Begin something that writes; it is in the writer's queue when this returns."""
    task = asyncio.ensure_future(work)
    for _ in range(20):
        await asyncio.sleep(0)
    return task


class Faulty:
    """Changes whose commit of one kind fails, before or after it is made."""

    def __init__(self, changes: Any, fails: Callable[[str], bool], *, kept: bool = False) -> None:
        self._changes, self._fails, self._kept = changes, fails, kept

    def __getattr__(self, name: str) -> Any:
        return getattr(self._changes, name)

    async def commit(self, service_name: str, fn: Any, then: Any = None) -> Any:
        if not self._fails(service_name):
            return await self._changes.commit(service_name, fn, then)
        if self._kept:
            await self._changes.commit(service_name, fn, then)
        else:

            def undone(session: Any) -> None:
                fn(session)
                raise Unavailable("lost")

            await self._changes.commit(service_name, undone, then)
        raise Unavailable("lost")


def driver_of(sm: World, changes: Any) -> Driver:
    return Driver(changes, sm.parts.presence, sm.parts.policies, sm.clock)


async def test_an_acknowledgement_that_meets_its_own_expiry_leaves_no_holder_in_memory_alone(
    sm: World,
) -> None:
    holder = sm.holder(1)
    await holder.read()
    rotation = (await sm.begin_rotation())["rotation_id"]
    await holder.read()
    async with busy_writer(sm):
        key = HolderKey(SERVICE, SERVICE, holder.instance_id)
        said = await queued(sm.parts.holders.acknowledge(CALLER, key, 1, uses=False))
        sm.clock.advance(95)
        swept = await queued(sm.parts.driver.look())
    await said
    await swept
    assert (await sm.rotation(rotation))["holders"] == []
    assert (await holder.read()).status_code == 200
    assert [one["instance_id"] for one in (await sm.rotation(rotation))["holders"]] == [holder.instance_id]
    assert (await holder.ack(2, "uses")).status_code == 200


async def test_an_instance_that_expired_and_says_and_reads_at_once_is_a_holder_in_memory_too(
    sm: World,
) -> None:
    holder = sm.holder(1)
    await holder.read()
    await sm.pass_time(95)
    key = HolderKey(SERVICE, SERVICE, holder.instance_id)
    async with busy_writer(sm):
        # Written together: what the first is told arrives behind what the second has made of it.
        said = await queued(sm.parts.holders.acknowledge(CALLER, key, 1, uses=True))
        read = await queued(sm.parts.reading.read(CALLER, SERVICE, holder.instance_id, None))
    with pytest.raises(NoHolderError):
        await said
    await read
    assert [HolderKey(*one) for one in await sm.db.read(all_holders)] == [key]
    assert sm.parts.presence.seconds_left(key) is not None


async def test_a_holder_that_memory_has_lost_is_not_waited_for_for_ever(sm: World) -> None:
    holder = sm.holder(1)
    await holder.read()
    rotation = (await sm.begin_rotation())["rotation_id"]
    sm.parts.presence.remove([HolderKey(SERVICE, SERVICE, holder.instance_id)])
    await sm.pass_time(31)
    assert not sm.parts.presence.of_identity(SERVICE), "one that is just being added is not adopted"
    await sm.pass_time(31)
    assert (await sm.rotation(rotation))["state"] == "staged"
    assert holder.instance_id in {key.instance_id for key in sm.parts.presence.of_identity(SERVICE)}
    await sm.pass_time(91)
    assert (await sm.rotation(rotation))["state"] == "draining"


async def test_looking_for_holders_that_memory_has_lost_takes_no_turn_of_the_writer(sm: World) -> None:
    holder = sm.holder(1)
    await holder.read()
    await sm.pass_time(1)
    for lost in (False, True):
        if lost:
            sm.parts.presence.remove([HolderKey(SERVICE, SERVICE, holder.instance_id)])
        async with busy_writer(sm), asyncio.timeout(5):
            sm.clock.advance(31)
            await sm.parts.driver.look()
    await sm.pass_time(31)
    assert [key.instance_id for key in sm.parts.presence.of_identity(SERVICE)] == [holder.instance_id]


async def test_one_that_memory_lost_and_the_database_then_too_is_not_adopted(
    sm: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = sm.holder(1)
    await holder.read()
    key = HolderKey(SERVICE, SERVICE, holder.instance_id)
    presence, unknown, found = sm.parts.presence, sm.parts.presence.unknown, []

    def noted(keys: Iterable[HolderKey]) -> set[HolderKey]:
        found.append(unknown(keys))
        return found[-1]

    monkeypatch.setattr(presence, "unknown", noted)
    presence.remove([key])
    await sm.pass_time(31)
    async with busy_writer(sm), asyncio.timeout(5):
        removed = await queued(sm.db.write(lambda session: remove_holder(session, *key)))
        sm.clock.advance(31)
        looked = asyncio.create_task(sm.parts.driver.look())
        while len(found) < 2:
            await asyncio.sleep(0.001)
    await asyncio.gather(removed, looked)
    assert not presence.of_identity(SERVICE)
    assert found == [{key}, {key}, set()]


@pytest.mark.parametrize("kept", [False, True], ids=["undone", "done, but nobody heard"])
async def test_a_removal_that_failed_leaves_memory_and_database_agreeing(sm: World, kept: bool) -> None:
    holder = sm.holder(1)
    await holder.read()
    await sm.parts.driver.stop()
    sm.clock.advance(95)
    broken = [SERVICE]
    driver = driver_of(sm, Faulty(sm.parts.changes, lambda name: name in broken, kept=kept))
    await driver.look()
    broken.clear()
    await driver.look()
    assert (await holder.read()).status_code == 200
    rotation = (await sm.begin_rotation())["rotation_id"]
    assert [one["instance_id"] for one in (await sm.rotation(rotation))["holders"]] == [holder.instance_id]
    sm.clock.advance(95)
    await driver.look()
    assert (await sm.rotation(rotation))["state"] == "draining"


async def test_a_secret_that_always_fails_holds_up_no_other_that_is_due(sm: World) -> None:
    await sm.parts.driver.stop()
    names = [f"service-{number}" for number in range(5)]
    for name in names:
        await sm.create(name)
        await sm.holder(1, name).read()
    sm.clock.advance(95)
    driver = driver_of(sm, Faulty(sm.parts.changes, lambda name: name == names[2]))
    await driver.look()
    alive = [name for name in names if sm.parts.presence.of_identity(name)]
    assert [name for name in alive if name != names[2]] == []


async def test_a_schedule_that_always_fails_holds_up_no_other(sm: World) -> None:
    await sm.parts.driver.stop()
    names = [f"service-{number}" for number in range(5)]
    for name in names:
        await sm.create(name)
        await sm.policy(name, interval_seconds=60)
    sm.clock.advance(61)
    policies = replace(sm.parts.policies, changes=Faulty(sm.parts.changes, lambda name: name == names[2]))
    await policies.rotate_due()
    items = (await sm.admin.get("/rotations")).json()["items"]
    assert {item["service_name"] for item in items} == set(names) - {names[2]}


@pytest.mark.parametrize("jump", [3600.0, -3600.0], ids=["ahead", "back"])
async def test_a_wall_clock_that_is_set_ends_no_overlap_early_and_none_late(sm: World, jump: float) -> None:
    await sm.policy(overlap_seconds=900)
    rotation = (await sm.admin.post(f"/secrets/{SERVICE}/rotate")).json()["rotation_id"]
    assert (await sm.rotation(rotation))["state"] == "draining"
    sm.clock.jump(jump)
    await sm.pass_time(0)
    await sm.pass_time(880)
    assert (await sm.rotation(rotation))["state"] == "draining"
    await sm.pass_time(40)
    assert (await sm.rotation(rotation))["state"] == "retired"


@pytest.mark.parametrize("jump", [3600.0, -3600.0], ids=["ahead", "back"])
async def test_a_wall_clock_that_is_set_makes_no_rotation_overdue_early_or_late(
    sm: World, jump: float
) -> None:
    await sm.policy(deadline_seconds=300)
    holder = sm.holder(1)
    await holder.read()
    rotation = (await sm.begin_rotation())["rotation_id"]
    sm.clock.jump(jump)
    for _ in range(4):
        await sm.pass_time(70)
        await holder.read()
    assert (await sm.rotation(rotation))["state"] == "staged"
    await sm.pass_time(30)
    assert (await sm.rotation(rotation))["state"] == "overdue"


async def test_a_schedule_that_a_clock_far_ahead_put_off_is_kept_once_it_is_set_right(sm: World) -> None:
    await sm.policy(interval_seconds=3600)
    sm.clock.jump(365 * 86400.0)
    await sm.pass_time(0)
    assert len(await sm.rotations(SERVICE)) == 1
    sm.clock.jump(-365 * 86400.0)
    await sm.pass_time(3601)
    await sm.pass_time(3601)
    assert len(await sm.rotations(SERVICE)) >= 2


async def test_a_request_that_is_sent_again_is_known_whatever_the_wall_clock_says(sm: World) -> None:
    path, headers = f"/secrets/{SERVICE}/rotate", {"Idempotency-Key": "once"}
    first = await sm.admin.post(path, headers=headers)
    sm.clock.jump(2 * 86400.0)
    again = await sm.admin.post(path, headers=headers)
    assert again.json()["version"] == first.json()["version"] == 2
