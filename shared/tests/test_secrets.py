"""Live secrets."""

import asyncio
import copy
import pickle
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from fountain_common.errors import Unavailable
from fountain_common.platform import Platform, create_platform
from fountain_common.secrets import Secrets
from fountain_common.settings import ServiceSettings
from fountain_common.testing import World
from waiting import until


async def test_the_active_version_is_read_from_memory(secrets: Secrets, world: World) -> None:
    assert dict(secrets) == world.secrets_manager.values("orders")
    assert (secrets.version, secrets.versions, secrets.state(1), secrets.state(9)) == (
        1,
        (1,),
        "active",
        "retired",
    )
    with pytest.raises(KeyError):
        secrets["NOT_THERE"]


async def test_a_rotation_is_followed_step_by_step(secrets: Secrets, world: World) -> None:
    old = secrets["JWT_SECRET"]
    rotation = world.secrets_manager.stage("orders")
    await until(lambda: rotation.accepted_by == world.secrets_manager.holders("orders"))
    assert secrets["JWT_SECRET"] == old
    assert [version for version, _ in secrets.accepted("JWT_SECRET")] == [1, 2]
    assert rotation.used_by == set()
    rotation.activate()
    await until(lambda: rotation.used_by == world.secrets_manager.holders("orders"))
    assert secrets["JWT_SECRET"] != old
    assert secrets.accepted("JWT_SECRET") == [(2, secrets["JWT_SECRET"]), (1, old)]
    rotation.retire_previous()
    await until(lambda: secrets.versions == (2,))
    assert secrets.state(1) == "retired"


async def test_uses_is_acknowledged_only_when_every_handler_has_succeeded(
    secrets: Secrets, world: World
) -> None:
    calls: list[int] = []
    gate = asyncio.Event()

    @secrets.on_rotation
    async def flaky(version: int) -> None:
        calls.append(version)
        await gate.wait()
        if len(calls) == 1:
            raise ConnectionError("the pool did not open")

    rotation = world.secrets_manager.stage("orders")
    rotation.activate()
    await until(lambda: calls)
    assert secrets.version == 2
    assert rotation.used_by == set()
    gate.set()
    await until(lambda: rotation.used_by)
    assert calls == [2, 2]


async def test_handlers_do_not_run_for_the_first_version(secrets: Secrets, world: World) -> None:
    calls: list[int] = []

    @secrets.on_rotation
    async def remember(version: int) -> None:
        calls.append(version)

    await until(lambda: world.secrets_manager.acknowledged("orders", 1, "uses"))
    assert calls == []


async def test_acknowledgements_go_on_until_they_are_accepted(
    secrets: Secrets, world: World, platform: Platform
) -> None:
    await until(lambda: secrets.report()[0].phase == "uses")
    real = world.secrets_manager.handle
    refused: list[str] = []

    def unwell(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/ack") and len(refused) < 3:
            refused.append(request.url.path)
            return httpx2.Response(500)
        return real(request)

    world.secrets_manager.handle = unwell  # type: ignore[method-assign]
    rotation = world.secrets_manager.stage("orders")
    await until(lambda: rotation.accepted_by)
    assert len(refused) == 3


async def test_without_events_the_next_look_finds_the_rotation(secrets: Secrets, world: World) -> None:
    world.notification.break_streams()
    world.notification.down = True
    rotation = world.secrets_manager.stage("orders")
    await secrets.refresh()
    await until(lambda: rotation.accepted_by)


async def test_an_unchanged_answer_costs_a_304(secrets: Secrets, world: World) -> None:
    answers: list[int] = []
    real = world.secrets_manager.handle

    def noted(request: httpx2.Request) -> httpx2.Response:
        answer = real(request)
        answers.append(answer.status_code)
        return answer

    world.secrets_manager.handle = noted  # type: ignore[method-assign]
    await secrets.refresh()
    assert answers == [304]


async def test_many_events_at_once_make_few_requests(secrets: Secrets, world: World) -> None:
    before = len([one for one in world.secrets_manager.requests if one == ("GET", "/secrets/orders")])
    for _ in range(50):
        secrets.refresh_soon("orders")
    await secrets.refresh()
    await until(lambda: not secrets._soon)
    after = len([one for one in world.secrets_manager.requests if one == ("GET", "/secrets/orders")])
    assert after - before <= 2


async def test_with_the_secrets_manager_away_what_is_held_stays_and_health_says_degraded(
    secrets: Secrets, world: World, platform: Platform
) -> None:
    held = dict(secrets)
    world.secrets_manager.down = True
    await secrets.refresh()
    assert dict(secrets) == held
    report = await platform.health.report()
    assert report.status == "healthy"
    assert "secrets-manager" in report.degraded
    world.secrets_manager.down = False
    await secrets.refresh()
    assert secrets.current


async def test_an_answer_that_cannot_be_read_changes_nothing(secrets: Secrets, world: World) -> None:
    held = dict(secrets)
    real = world.secrets_manager.handle
    for content in (
        b"{}",
        b"[]",
        b"<html>",
        b'{"version": "x"}',
        b'{"version":1,"epoch":"e","secrets":{},"versions":[]}',
    ):
        world.secrets_manager.handle = lambda request, content=content: httpx2.Response(  # type: ignore[method-assign]
            200, content=content
        )
        with pytest.raises(Unavailable):
            await secrets.fetch()
    world.secrets_manager.handle = real  # type: ignore[method-assign]
    assert dict(secrets) == held


async def test_an_instance_that_was_forgotten_acknowledges_everything_again(
    secrets: Secrets, world: World
) -> None:
    rotation = world.secrets_manager.stage("orders")
    await until(lambda: rotation.accepted_by)
    one = world.secrets_manager._service("orders")
    one.holders.clear()
    one.accepts.clear()
    one.uses.clear()
    await secrets.refresh()
    await until(lambda: rotation.accepted_by)


async def test_a_restored_backup_is_followed_back(secrets: Secrets, world: World) -> None:
    rotation = world.secrets_manager.stage("orders")
    rotation.activate()
    await until(lambda: secrets.version == 2)
    one = world.secrets_manager._service("orders")
    one.states.clear()
    one.states[1] = "active"
    await secrets.refresh()
    assert secrets.version == 2
    world.secrets_manager.restore()
    await secrets.refresh()
    assert secrets.version == 1


async def test_after_a_gap_everything_is_fetched_anew(
    secrets: Secrets, world: World, platform: Platform
) -> None:
    world.notification.emit("service.started", "x")
    await until(lambda: platform.events is not None and platform.events.connected)
    world.notification.down = True
    world.notification.break_streams()
    rotation = world.secrets_manager.stage("orders")
    world.notification.emit("order.placed")
    world.notification.forget_the_past()
    world.notification.down = False
    await until(lambda: rotation.accepted_by)


async def test_who_leaves_says_goodbye(settings: ServiceSettings, world: World) -> None:
    platform = create_platform(settings)
    world.enter(platform)
    await platform.start()
    assert world.secrets_manager.holders("orders") == {settings.instance_id}
    await platform.stop()
    assert world.secrets_manager.holders("orders") == set()


async def test_values_that_are_honoured_no_more_are_fetched_newest_first_and_not_held(
    secrets: Secrets, world: World
) -> None:
    first = secrets["DB_PASSWORD"]
    for password in ("second", "third", "fourth"):
        rotation = world.secrets_manager.stage("orders", DB_PASSWORD=password)
        rotation.activate()
        rotation.retire_previous()
    world.secrets_manager.destroy("orders", 2)
    await secrets.refresh()
    assert [each async for each in secrets.earlier("DB_PASSWORD")] == [(3, "third"), (1, first)]
    assert secrets.versions == (4,)
    world.secrets_manager.down = True
    with pytest.raises(Unavailable):
        _ = [each async for each in secrets.earlier("DB_PASSWORD")]


async def test_no_value_is_printed_logged_copied_or_pickled(
    settings: ServiceSettings, world: World, log: Callable[[], list[dict[str, Any]]]
) -> None:
    platform = create_platform(settings)
    world.enter(platform)
    await platform.start()
    assert platform.secrets is not None
    rotation = world.secrets_manager.stage("orders")
    await until(lambda: rotation.accepted_by)
    printed = f"{platform.secrets} {platform.secrets!r} {platform!r} {platform.secrets.report()} {log()}"
    values = [value for _, value in platform.secrets.accepted("JWT_SECRET")]
    assert len(values) == 2
    assert not any(value in printed for value in values)
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            copied(platform.secrets)
    await platform.stop()


async def test_an_instance_that_was_forgotten_does_not_come_back_as_a_fresh_one(
    secrets: Secrets, world: World
) -> None:
    await until(lambda: secrets.report()[0].phase == "uses")
    named: list[str | None] = []
    real = world.secrets_manager.handle

    def noted(request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET" and request.url.path == "/secrets/orders":
            named.append(request.headers.get("if-none-match"))
        return real(request)

    world.secrets_manager.handle = noted  # type: ignore[method-assign]
    world.secrets_manager._service("orders").holders.clear()
    with pytest.raises(Unavailable):
        await secrets._send(1, "accepts")
    assert len(named) == 1
    assert named[0] is not None
