"""A service's platform, from start to stop."""

import asyncio
from pathlib import Path

import httpx2
import pytest
from fountain_common.platform import Platform, create_platform, hand_over
from fountain_common.settings import ServiceSettings
from fountain_common.testing import World
from waiting import until


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def platform(settings: ServiceSettings, world: World) -> Platform:
    platform = create_platform(settings)
    world.enter(platform)
    return platform


async def test_the_stream_is_open_before_secrets_are_fetched_and_registration_comes_last(
    platform: Platform, world: World
) -> None:
    order: list[str] = []
    for name, fake in (
        ("notification", world.notification),
        ("secrets", world.secrets_manager),
        ("gateway", world.gateway),
    ):

        def noted(request, real=fake.handle, name=name):  # type: ignore[no-untyped-def]
            order.append(f"{request.method} {request.url.path}")
            return real(request)

        fake.handle = noted  # type: ignore[attr-defined]
    await platform.start()
    assert not any(step.startswith("PUT /registry") for step in order)
    await platform.announce()
    steps = [order.index("GET /notifications/stream"), order.index("GET /secrets/orders")]
    steps.append(next(number for number, step in enumerate(order) if step.startswith("PUT /registry")))
    assert steps == sorted(steps)
    await platform.stop()


async def test_it_leaves_in_order_and_leaves_nothing_behind(platform: Platform, world: World) -> None:
    await platform.start()
    await platform.announce()
    key = ("orders", platform.instance_id)
    assert world.gateway.instances[key]["status"] == "up"
    await platform.drain()
    await platform.drain()
    assert platform.stopping.is_set()
    assert world.gateway.instances[key]["status"] == "draining"
    await until(lambda: world.notification.events("service.stopping"))
    await platform.stop()
    assert world.gateway.instances == {}
    assert world.secrets_manager.holders("orders") == set()
    assert len(world.notification.events("service.stopping")) == 1


async def test_with_notification_away_the_service_starts_all_the_same(
    platform: Platform, world: World
) -> None:
    world.notification.down = True
    async with asyncio.timeout(4):
        await platform.start()
        await platform.announce()
    report = await platform.health.report()
    assert (report.status, report.degraded) == ("healthy", ["notification"])
    rotation = world.secrets_manager.stage("orders")
    world.notification.down = False
    await until(lambda: rotation.accepted_by)
    await platform.stop()


async def test_with_everybody_away_it_starts_says_what_is_missing_and_recovers(
    platform: Platform, world: World
) -> None:
    for fake in (world.secrets_manager, world.notification, world.gateway):
        fake.down = True  # type: ignore[attr-defined]
    async with asyncio.timeout(10):
        await platform.start()
        await platform.announce()
    report = await platform.health.report()
    assert report.status == "healthy"
    assert report.degraded == ["gateway-lookup", "notification", "secrets-manager"]
    for fake in (world.secrets_manager, world.notification, world.gateway):
        fake.down = False  # type: ignore[attr-defined]
    assert platform.secrets is not None
    await until(lambda: platform.secrets and platform.secrets.version == 1, 15)
    await platform.stop()


@pytest.fixture
async def booted(platform: Platform, world: World) -> Platform:
    """It has its secrets and a token; then the Secrets Manager went away, before it gave its signing keys."""
    assert platform.secrets is not None
    await platform.secrets.fetch()
    assert platform.tokens is not None
    await platform.tokens.token()
    world.secrets_manager.down = True
    await platform.start()
    await platform.announce()
    return platform


async def test_nobody_is_sent_to_an_instance_that_cannot_verify_tokens_yet(
    booted: Platform, world: World
) -> None:
    assert world.gateway.instances == {}
    world.secrets_manager.down = False
    await until(lambda: world.gateway.instances)
    assert booted.verifier.able
    await booted.stop()
    assert world.gateway.instances == {}


async def test_an_instance_that_ends_before_it_could_verify_tokens_was_never_known(
    booted: Platform, world: World
) -> None:
    await booted.stop()
    world.secrets_manager.down = False
    assert world.gateway.instances == {}


async def test_who_has_no_secrets_of_its_own_says_too_that_it_misses_the_secrets_manager(
    settings: ServiceSettings, world: World
) -> None:
    platform = create_platform(settings, secrets=None)
    world.enter(platform)
    world.secrets_manager.down = True
    await platform.start()
    assert "secrets-manager" in (await platform.health.report()).degraded
    world.secrets_manager.down = False
    await platform.refetch()
    assert "secrets-manager" not in (await platform.health._ask()).degraded
    await platform.stop()


async def test_what_was_fetched_at_boot_reaches_the_application(
    platform: Platform, world: World, tmp_path: Path
) -> None:
    assert platform.secrets is not None
    await platform.secrets.fetch()
    hand_over(platform)
    other = create_platform(ServiceSettings(_env_file=None, service_name="billing", data_dir=tmp_path))
    assert other.secrets is not platform.secrets
    again = create_platform(ServiceSettings(_env_file=None, service_name="orders", data_dir=tmp_path))
    assert again.secrets is platform.secrets
    assert again.instance_id == platform.instance_id
    third = create_platform(ServiceSettings(_env_file=None, service_name="orders", data_dir=tmp_path))
    assert third.secrets is not platform.secrets


async def test_a_platform_can_be_started_again(platform: Platform, world: World) -> None:
    for _ in range(2):
        await platform.start()
        await platform.announce()
        await until(lambda: world.gateway.instances)
        await platform.stop()
        assert world.gateway.instances == {}


async def test_an_instance_that_moved_is_found_by_event(platform: Platform, world: World) -> None:
    world.gateway.add("stories", "http://old:8000")
    await platform.start()
    assert await platform.discovery.resolve("stories") == "http://old:8000"
    world.gateway.add("stories", "http://new:8000")
    world.notification.emit("service.registered", "stories", source="gateway-lookup")
    await until(lambda: platform.discovery._entries["stories"].lookup.instances[0].url == "http://new:8000")
    await platform.stop()


def test_it_prints_no_secret(platform: Platform) -> None:
    assert repr(platform) == "<Platform of orders, made>"


async def test_the_stream_asks_for_what_somebody_listens_to_alone(world: World) -> None:
    platform = create_platform(ServiceSettings(service_name="orders"))
    assert platform.events is not None
    platform.events.on("order.*")(lambda event: None)
    world.enter(platform)
    asked: list[str] = []
    real = world.notification.handle

    def noted(request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/notifications/stream":
            asked.append(str(request.url.params["type"]))
        return real(request)

    world.notification.handle = noted  # type: ignore[method-assign]
    await platform.start()
    await platform.stop()
    assert asked[0].split(",") == ["identity.*", "order.*", "secret.*", "service.*", "signing-key.*"]
