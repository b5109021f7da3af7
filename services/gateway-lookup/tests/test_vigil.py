"""An instance that dies is known to be dead at once, long before its lease or a probe says so."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
from calling import INSTANCE, OTHER, Caller, Gateways
from fountain_common.testing import ServiceClient, wait_until
from gateway_lookup.leases import Lease
from gateway_lookup.vigil import Vigil
from neighbourhood import OpenWorld


class Instance:
    """Something that listens and is well; it dies as a process that is killed does."""

    def __init__(self, port: int = 0) -> None:
        self._listener = socket.create_server(("127.0.0.1", port), reuse_port=True)
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                threading.Thread(target=self._answer, args=[connection], daemon=True).start()

    @staticmethod
    def _answer(connection: socket.socket) -> None:
        with suppress(OSError):
            while connection.recv(65536):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    def hang_up(self) -> None:
        while self._open:
            connection = self._open.pop()
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def die(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()

    @property
    def held(self) -> int:
        return len(self._open)


@pytest.fixture
def client(gateways: Gateways) -> ServiceClient:
    # Neither leases nor probes are of any help in these tests.
    gateways.settings(LEASE_SECONDS="600", PROBE_SECONDS="600", VIGIL_SECONDS="0.1")
    gateways.world = OpenWorld()
    return gateways.start()


@pytest.fixture
def instances(client: ServiceClient) -> Iterator[list[Instance]]:
    shop, found = Caller(client, "shop", ("service",)), [Instance(), Instance()]
    for instance_id, instance in zip((INSTANCE, OTHER), found, strict=True):
        shop.register("shop", instance.port, instance_id)
    wait_until(lambda: all(instance.held for instance in found), "both are watched")
    yield found
    for instance in found:
        instance.die()


def states(client: ServiceClient) -> list[str]:
    found = Caller(client, "cart", ("service",))("GET", "/lookup/shop").json()["instances"]
    return sorted(one["status"] for one in found)


def upstreams(client: ServiceClient) -> set[str]:
    answer = client.get("/internal/route", params={"host": "shop.fountain.localhost"})
    return {value for name, value in answer.headers.items() if name.startswith("x-fountain-upstream")}


def test_one_that_dies_is_down_at_once_and_the_edge_is_sent_to_the_other(
    client: ServiceClient, instances: list[Instance]
) -> None:
    dead, alive = instances
    dead.die()
    wait_until(lambda: states(client) == ["down", "up"], "one is down")
    assert upstreams(client) == {f"127.0.0.1:{alive.port}"}


def test_one_that_is_there_again_is_up_again(client: ServiceClient, instances: list[Instance]) -> None:
    instances[0].die()
    wait_until(lambda: states(client) == ["down", "up"], "one is down")
    instances.append(Instance(instances[0].port))
    wait_until(lambda: states(client) == ["up", "up"], "it is up again")


def test_one_that_ends_an_idle_connection_and_takes_the_next_is_not_down(
    client: ServiceClient, instances: list[Instance]
) -> None:
    seen = []
    for _ in range(2):
        instances[0].hang_up()
        wait_until(lambda: seen.append(states(client)) or instances[0].held, "it is watched again")
    assert seen
    assert all(state == ["up", "up"] for state in seen)


def test_one_that_has_left_is_not_watched(client: ServiceClient, instances: list[Instance]) -> None:
    shop = Caller(client, "shop", ("service",))
    secret = shop.register("shop", instances[0].port, INSTANCE, generation=9).json()["lease_secret"]
    shop.leave("shop", INSTANCE, secret)
    instances[0].hang_up()
    gateway = client.app.state.gateway  # type: ignore[attr-defined]
    assert ("shop", INSTANCE) not in gateway.registry.leases
    wait_until(lambda: states(client) == ["up"], "the other is alone")
    assert instances[1].held


def test_it_holds_no_more_connections_than_it_may(
    client: ServiceClient, instances: list[Instance], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (4, 4))
    vigil = Vigil(client.app.state.gateway, None)  # type: ignore[attr-defined, arg-type]

    async def begun() -> int:
        await vigil.follow()
        count = len(vigil._watched)
        await vigil.stop()
        return count

    assert client.portal is not None
    assert client.portal.call(begun) == 1


def test_a_watch_that_failed_is_begun_again(client: ServiceClient) -> None:
    gateway = client.app.state.gateway  # type: ignore[attr-defined]
    instance, asked = Instance(), []
    Caller(client, "shop", ("service",)).register("shop", instance.port)

    async def ask(lease: Lease) -> None:
        asked.append(lease)
        raise RuntimeError("It cannot be asked.")

    async def watch() -> None:
        vigil = Vigil(gateway, ask)
        deadline = asyncio.get_running_loop().time() + 10
        while len(asked) < 2 and asyncio.get_running_loop().time() < deadline:
            await vigil.follow()
            await asyncio.sleep(0.02)
            instance.hang_up()
        await vigil.stop()

    asyncio.run(watch())
    instance.die()
    assert len(asked) == 2
