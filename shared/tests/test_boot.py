"""What a start fetches before anybody can be answered: secrets, and what tokens are judged by."""

import asyncio

import httpx2
import pytest
from fountain_common.entrypoint import fetch_what_it_needs
from fountain_common.platform import Platform, create_platform, hand_over
from fountain_common.settings import ServiceSettings
from fountain_common.testing import World
from waiting import until

KEYS, REVOCATIONS = "/.well-known/jwks.json", "/.well-known/revocations"


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def platform(settings: ServiceSettings, world: World) -> Platform:
    platform = create_platform(settings)
    world.enter(platform)
    return platform


class Withheld:
    """A document that the Secrets Manager does not give."""

    def __init__(self, world: World, path: str) -> None:
        self.path, self.withheld, self.asked = path, True, 0
        self._real = world.secrets_manager.handle
        world.secrets_manager.handle = self.handle  # type: ignore[method-assign]

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        if self.withheld and request.url.path == self.path:
            self.asked += 1
            raise httpx2.ConnectError("connection refused", request=request)
        return self._real(request)


@pytest.mark.parametrize("path", [KEYS, REVOCATIONS])
async def test_a_start_waits_until_it_can_judge_tokens(platform: Platform, world: World, path: str) -> None:
    withheld = Withheld(world, path)
    boot = asyncio.create_task(fetch_what_it_needs(platform, 30))
    await until(lambda: withheld.asked >= 2)
    assert not boot.done()
    withheld.withheld = False
    assert await boot == ""
    assert platform.verifier.able
    assert platform.secrets is not None
    assert platform.secrets.version == 1
    await platform.stop()


@pytest.mark.parametrize("path", [KEYS, REVOCATIONS])
async def test_a_start_that_never_can_says_what_is_missing(
    platform: Platform, world: World, path: str
) -> None:
    Withheld(world, path)
    reason = await fetch_what_it_needs(platform, 0.5)
    assert "has not given its signing keys and revocations yet" in reason
    await platform.stop()


async def test_an_application_knows_the_tokens_that_its_start_did_though_the_secrets_manager_went_away(
    platform: Platform, world: World, settings: ServiceSettings
) -> None:
    assert await fetch_what_it_needs(platform, 30) == ""
    world.secrets_manager.down = True
    hand_over(platform)
    served = create_platform(settings)
    world.enter(served)
    async with asyncio.timeout(10):
        await served.start()
        await served.announce()
    assert (await served.verifier.verify(world.tokens.token("alice", (), "orders"))).subject == "alice"
    await served.stop()
