"""Streams and WebSockets pass as they come, and end when their reader goes."""

import asyncio

import httpx2
import pytest
import websockets
from conftest import World
from edge import DOMAIN, until


@pytest.mark.parametrize("host", [f"shop.{DOMAIN}", f"notification.{DOMAIN}"])
def test_a_stream_arrives_while_it_is_being_written(world: World, host: str) -> None:
    stub = world.shop if host.startswith("shop") else world.notification
    stub.released.clear()
    headers = {"Host": f"{host}:{world.edge.https_port}"}
    with (
        httpx2.Client(verify=world.edge.context(), trust_env=False, timeout=10) as client,
        client.stream(
            "GET",
            f"https://127.0.0.1:{world.edge.https_port}/stream",
            headers=headers,
            extensions={"sni_hostname": host},
        ) as answer,
    ):
        pieces = answer.iter_bytes()
        assert next(pieces) == b"data: first\n\n"
        stub.released.set()
        assert b"".join(pieces) == b"data: second\n\n"


@pytest.mark.parametrize("host", [f"shop.{DOMAIN}", f"notification.{DOMAIN}"])
def test_a_stream_ends_at_the_service_when_its_reader_has_gone(world: World, host: str) -> None:
    stub = world.shop if host.startswith("shop") else world.notification
    stub.released.clear()
    stub.left.clear()
    headers = {"Host": f"{host}:{world.edge.https_port}"}
    with (
        httpx2.Client(verify=world.edge.context(), trust_env=False, timeout=10) as client,
        client.stream(
            "GET",
            f"https://127.0.0.1:{world.edge.https_port}/stream",
            headers=headers,
            extensions={"sni_hostname": host},
        ) as answer,
    ):
        pieces = answer.iter_bytes()
        assert next(pieces) == b"data: first\n\n"
        assert not stub.left.wait(0.3)
    until(stub.left.is_set, "the service has noticed", 5)


def test_a_websocket_reaches_a_service_that_nobody_configured(world: World) -> None:
    async def talk() -> str:
        host = f"shop.{DOMAIN}"
        uri = f"wss://{host}:{world.edge.https_port}/ws"
        async with websockets.connect(
            uri,
            ssl=world.edge.context(),
            server_hostname=host,
            host="127.0.0.1",
            port=world.edge.https_port,
            proxy=None,
        ) as socket_:
            await socket_.send("hello")
            return str(await socket_.recv())

    assert asyncio.run(talk()) == "echo hello"
