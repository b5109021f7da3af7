"""Another service's secrets, which were granted to us."""

import asyncio

import httpx2
import pytest
from fountain_common.errors import Forbidden, NotFound, Unavailable
from fountain_common.platform import create_platform
from fountain_common.secrets import Secrets
from fountain_common.settings import ServiceSettings
from fountain_common.testing import World


async def test_granted_secrets_are_followed_like_our_own(secrets: Secrets, world: World) -> None:
    others = await secrets.granted("billing")
    assert others["DB_PASSWORD"] == world.secrets_manager.values("billing")["DB_PASSWORD"]
    rotation = world.secrets_manager.stage("billing")
    async with asyncio.timeout(5):
        while not rotation.accepted_by:
            await asyncio.sleep(0.002)
    assert await secrets.granted("billing") is others


async def test_stopping_while_anothers_secrets_are_fetched_leaves_no_holder(
    settings: ServiceSettings, world: World
) -> None:
    platform = create_platform(settings)
    world.enter(platform)
    await platform.start()
    secrets = platform.secrets
    assert secrets is not None
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        reached.set()
        await go_on.wait()

    secrets.before_another = wait
    asking = asyncio.create_task(secrets.granted("billing"))
    await reached.wait()
    await secrets.stop()
    go_on.set()
    with pytest.raises(Unavailable, match="stopping"):
        await asking
    assert world.secrets_manager.holders("billing") == set()
    await platform.stop()


async def test_what_is_held_is_answered_at_once_while_another_is_fetched(
    secrets: Secrets, world: World
) -> None:
    billing = await secrets.granted("billing")
    reached = asyncio.Event()

    async def never() -> None:
        reached.set()
        await asyncio.Event().wait()

    secrets.before_another = never
    other = asyncio.create_task(secrets.granted("shop"))
    await reached.wait()
    async with asyncio.timeout(5):
        assert await secrets.granted("billing") is billing
    other.cancel()
    await asyncio.gather(other, return_exceptions=True)
    assert secrets.services() == ["orders", "billing"]


@pytest.mark.parametrize(("status", "kind"), [(404, NotFound), (403, Forbidden), (500, Unavailable)])
async def test_a_refusal_of_granted_secrets_says_what_is_wrong(
    secrets: Secrets, world: World, status: int, kind: type[Exception]
) -> None:
    world.secrets_manager.handle = lambda request: httpx2.Response(status)  # type: ignore[method-assign]
    with pytest.raises(kind):
        await secrets.granted("billing")
