"""The fakes keep what they promise, and ship no network."""

from collections.abc import Iterator

import httpx2
import pytest
from fastapi import FastAPI
from fountain_common import testing
from fountain_common.app import create_service
from fountain_common.settings import ServiceSettings
from fountain_common.testing import FakeClock, ServiceClient, World, service_client, wait_until


@pytest.fixture
def app(settings: ServiceSettings) -> FastAPI:
    return create_service(settings, title="Orders", description="Takes orders.", version="1.0.0")


@pytest.fixture
def client(app: FastAPI) -> Iterator[ServiceClient]:
    with service_client(app) as client:
        yield client


def test_a_service_follows_a_rotation(client: ServiceClient, app: FastAPI) -> None:
    rotation = client.world.secrets_manager.rotate("orders", DB_PASSWORD="chosen")
    secrets = app.state.platform.secrets
    assert (rotation.state, secrets.version, secrets["DB_PASSWORD"]) == ("active", 2, "chosen")
    rotation.retire_previous()
    wait_until(lambda: secrets.versions == (2,), "the old version is gone")


def test_a_service_that_does_not_confirm_holds_a_rotation_up(client: ServiceClient, app: FastAPI) -> None:
    @app.state.platform.secrets.on_rotation
    async def never(version: int) -> None:
        raise RuntimeError("no")

    with pytest.raises(AssertionError, match="every holder uses"):
        client.world.secrets_manager.rotate("orders", seconds=0.3)


def test_one_application_can_be_entered_several_times(app: FastAPI) -> None:
    for _ in range(3):
        with service_client(app) as client:
            assert client.get("/health").json()["status"] == "healthy"
            client.world.secrets_manager.rotate("orders")


def test_peers_can_be_made_up(client: ServiceClient, app: FastAPI) -> None:
    client.world.serve("stories", lambda request: httpx2.Response(200, json={"path": request.url.path}))

    async def ask() -> dict[str, str]:
        return (await app.state.platform.peers.get("stories", "/x")).json()  # type: ignore[no-any-return]

    assert client.portal is not None
    assert client.portal.call(ask) == {"path": "/x"}


def test_each_fake_can_be_away(client: ServiceClient, app: FastAPI) -> None:
    client.world.gateway.down = client.world.notification.down = client.world.secrets_manager.down = True
    assert client.get("/health").status_code == 200


def test_nobody_else_is_there() -> None:
    import anyio

    async def call() -> None:
        async with httpx2.AsyncClient(transport=World()) as client:
            await client.get("http://example.com/")

    with pytest.raises(httpx2.ConnectError):
        anyio.run(call)


def test_waiting_says_what_was_waited_for() -> None:
    with pytest.raises(AssertionError, match="the end of time"):
        wait_until(lambda: False, "the end of time", 0.01)


@pytest.mark.parametrize(("took", "counted"), [(0.005, 0.005), (0.05, 0.05), (0.15, 0.05), (4.0, 1.0)])
def test_while_the_machine_is_busy_with_others_waiting_takes_longer_and_not_for_ever(
    took: float, counted: float
) -> None:
    assert testing._counted(took) == counted


def test_a_clock_stands_still_until_it_is_moved() -> None:
    clock = FakeClock(5.0)
    assert clock() == clock() == 5.0
    clock.advance(2)
    assert clock() == 7.0
