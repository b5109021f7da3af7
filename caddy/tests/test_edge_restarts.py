"""The gateway or the edge restarts: what is held meanwhile, and what is served."""

import time
from collections.abc import Callable

import httpx2
import pytest
from conftest import World
from edge import DOMAIN, until


@pytest.mark.parametrize("host", [DOMAIN, f"shop.{DOMAIN}"])
def test_requests_are_held_while_the_gateway_restarts(world: World, host: str) -> None:
    world.edge.get(host)
    world.gateway.stop()
    held = _in_background(lambda: world.edge.get(host).status_code)
    time.sleep(0.5)  # the request has to find nobody there; there is nothing to poll for
    world.gateway.start()
    assert held() == 200


def test_without_the_gateway_a_restarted_edge_serves_the_named_sites_and_the_others_when_it_is_back(
    world: World,
) -> None:
    """Open streams do not keep it from stopping, either."""
    world.edge.get(f"shop.{DOMAIN}")
    world.notification.released.clear()
    world.notification.left.clear()
    headers = {"Host": f"notification.{DOMAIN}:{world.edge.https_port}"}
    url = f"https://127.0.0.1:{world.edge.https_port}/stream"
    with (
        httpx2.Client(verify=world.edge.context(), trust_env=False, timeout=20) as client,
        client.stream(
            "GET", url, headers=headers, extensions={"sni_hostname": f"notification.{DOMAIN}"}
        ) as answer,
    ):
        pieces = answer.iter_bytes()  # held: the stream ends with it
        assert next(pieces) == b"data: first\n\n"
        began = time.monotonic()
        assert not world.notification.left.is_set()
        world.edge.stop()
        assert time.monotonic() - began < 12
    world.notification.released.set()
    world.gateway.stop()
    world.edge.start()
    for name in ("secrets-manager", "notification"):
        until(lambda name=name: world.edge.get(f"{name}.{DOMAIN}").status_code == 200, f"{name} is served")  # type: ignore[misc]
    # Its certificate is stored, and still nobody gets it who was not asked about.
    with pytest.raises(httpx2.ConnectError):
        world.edge.get(f"shop.{DOMAIN}")
    world.gateway.start()
    until(lambda: world.edge.get(f"shop.{DOMAIN}").status_code == 200, "the others are served again")


def _in_background(call: Callable[[], int]) -> Callable[[], int]:
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(1)
    future = pool.submit(call)

    def wait() -> int:
        try:
            return future.result(20)
        finally:
            pool.shutdown()

    return wait
