"""The parts of a service's platform."""

import time

import pytest
from fountain_common.connections import Connections
from fountain_common.directory import GatewayDirectory
from fountain_common.errors import Unavailable
from fountain_common.identity import Identity
from fountain_common.issuer import IssuerClient
from fountain_common.platform import create_platform
from fountain_common.settings import ServiceSettings
from fountain_common.testing import World


@pytest.fixture
def world() -> World:
    return World()


async def test_a_part_that_is_none_is_one_that_the_service_does_not_have(
    settings: ServiceSettings, world: World
) -> None:
    platform = create_platform(
        settings, identity=None, directory=None, secrets=None, events=None, registry=None, keys=_Keys(world)
    )
    assert [platform.issuer, platform.tokens, platform.api_keys, platform.secrets, platform.events] == [
        None
    ] * 5
    assert platform.registrar is None
    await platform.start()
    await platform.announce()
    # What is left is where keys come from: without it no token can be verified.
    assert (await platform.health.report()).checks == {"secrets-manager": "ok", "clock": "ok"}
    assert await platform.verifier.verify(world.tokens.token("bob", [], "orders"))
    await platform.stop()


class _Keys:
    def __init__(self, world: World) -> None:
        self._world = world

    async def jwks(self) -> dict[str, object]:
        return self._world.tokens.jwks()

    async def revocations(self) -> dict[str, object]:
        return {"issued_at": time.time(), "revocations": []}


def test_without_an_issuer_keys_must_be_given(settings: ServiceSettings) -> None:
    with pytest.raises(ValueError, match="keys="):
        create_platform(settings, identity=None)


def test_a_replaced_part_takes_the_place_of_the_usual_one_everywhere(settings: ServiceSettings) -> None:
    async def locate() -> str:
        return "https://127.0.0.1:1"

    identity, connections = Identity(settings), Connections()
    issuer = IssuerClient(identity, connections, locate)
    platform = create_platform(settings, identity=identity, connections=connections, issuer=issuer)
    assert (platform.identity, platform.issuer, platform.connections) == (identity, issuer, connections)
    assert isinstance(platform.directory, GatewayDirectory)
    assert platform.directory.tokens is platform.tokens


async def test_without_a_directory_nobody_is_found_but_the_gateway(settings: ServiceSettings) -> None:
    platform = create_platform(settings, directory=None)
    assert await platform.discovery.resolve("gateway-lookup") == settings.gateway_url
    with pytest.raises(Unavailable, match="no way to find stories"):
        await platform.discovery.resolve("stories")


def test_every_service_but_notification_receives_deliveries(settings: ServiceSettings) -> None:
    assert len(create_platform(settings).routers) == 1
    notification = settings.model_copy(update={"service_name": "notification"})
    assert create_platform(notification).routers == ()
