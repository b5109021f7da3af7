"""Asking the gateway where a service is."""

from collections.abc import AsyncIterator

import httpx2
import pytest
from fountain_common.directory import GatewayDirectory, Instance, Lookup
from fountain_common.errors import NotFound, Unavailable
from fountain_common.platform import Platform, create_platform
from fountain_common.settings import ServiceSettings
from fountain_common.testing import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def directory(settings: ServiceSettings, world: World) -> AsyncIterator[GatewayDirectory]:
    platform: Platform = create_platform(settings)
    world.enter(platform)
    assert isinstance(platform.directory, GatewayDirectory)
    yield platform.directory
    await platform.close()


async def test_the_secrets_manager_is_asked_for_without_a_token(
    directory: GatewayDirectory, world: World
) -> None:
    found = await directory.lookup("secrets-manager", None)
    assert found is not None
    assert found.instances[0].url == "https://secrets-manager:8000"
    assert world.secrets_manager.requests == []


async def test_everybody_else_is_asked_for_with_one(directory: GatewayDirectory, world: World) -> None:
    found = await directory.lookup("notification", None)
    assert found is not None
    assert await directory.lookup("notification", found.etag) is None


async def test_an_unknown_name_is_told_with_what_the_gateway_says(directory: GatewayDirectory) -> None:
    with pytest.raises(NotFound, match="the fake answers 404"):
        await directory.lookup("nobody", None)


async def test_a_refused_token_is_replaced_once(directory: GatewayDirectory, world: World) -> None:
    refused: list[str] = []
    real = world.gateway.handle

    def picky(request: httpx2.Request) -> httpx2.Response:
        token = request.headers.get("authorization", "")
        if not refused and token:
            refused.append(token)
        return httpx2.Response(401) if token in refused else real(request)

    world.gateway.handle = picky  # type: ignore[method-assign]
    assert await directory.lookup("notification", None)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"service_name":"x","instances":[{}]}', b"<html>"])
async def test_an_answer_that_cannot_be_read_is_an_outage(
    directory: GatewayDirectory, world: World, content: bytes
) -> None:
    world.gateway.handle = lambda request: httpx2.Response(200, content=content)  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        await directory.lookup("notification", None)


async def test_with_the_gateway_away_it_says_so(directory: GatewayDirectory, world: World) -> None:
    world.gateway.down = True
    with pytest.raises(Unavailable, match="gateway"):
        await directory.lookup("secrets-manager", None)


async def test_our_own_refused_key_is_not_the_callers_fault(
    directory: GatewayDirectory, world: World
) -> None:
    world.secrets_manager.keys.clear()
    with pytest.raises(Unavailable):
        await directory.lookup("notification", None)


def test_an_entry_without_instances_stands_for_its_url() -> None:
    found = Lookup.read({"service_name": "x", "url": "https://x.example/"}, None)
    assert found.instances == (Instance("", "https://x.example"),)
