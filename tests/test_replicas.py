"""Replicas and the gateway die under load, and whoever asks does not notice."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from logged import logged
from polling import poll_until
from steward import CONSUMER, Replica, Steward

CLIENTS = 20
RENEWED_SECONDS = 15


@dataclass
class Load:
    """Clients that ask on and on for what may be asked twice.

    Args:
        steward: the administrator.
        questions: (method, path, expected status).
    """

    steward: Steward
    questions: list[tuple[str, str, int]]
    answered: int = 0
    failed: list[str] = field(default_factory=list)

    def during(self, act: Callable[[], None]) -> None:
        """Do something meanwhile."""
        asyncio.run(self._during(act))

    async def _during(self, act: Callable[[], None]) -> None:
        stop = asyncio.Event()
        headers = self.steward.headers(CONSUMER)
        async with self.steward.stack.async_client(CONSUMER, connections=CLIENTS) as client:
            clients = [asyncio.create_task(self._ask(client, headers, stop)) for _ in range(CLIENTS)]
            try:
                await asyncio.to_thread(act)
            finally:
                stop.set()
                await asyncio.gather(*clients)

    async def _ask(self, client: httpx2.AsyncClient, headers: dict[str, str], stop: asyncio.Event) -> None:
        while not stop.is_set():
            for method, path, expected in self.questions:
                try:
                    answer = await client.request(method, path, headers=headers)
                    if answer.status_code == expected:
                        self.answered += 1
                    else:
                        self.failed.append(f"{method} {answer.status_code} {answer.text[:200]}")
                except httpx2.HTTPError as error:
                    self.failed.append(f"{method} {error!r}")


@pytest.mark.parametrize("victims", [[1], [0, 2]], ids=["one of three", "two of three at once"])
def test_not_one_idempotent_request_fails_while_replicas_are_killed(
    steward: Steward, replicas: list[Replica], victims: list[int]
) -> None:
    link = f"/links/{replicas[0].sign()}"
    # Two that are refused are as good: what counts is who refuses them.
    load = Load(
        steward, [("GET", link, 307), ("GET", "/status", 200), ("PUT", "/status", 405), ("DELETE", link, 405)]
    )

    def kill() -> None:
        with ThreadPoolExecutor(len(victims)) as pool:
            list(pool.map(lambda number: steward.stack.kill(CONSUMER, number), victims))
        steward.stack.wait_healthy(CONSUMER)
        poll_until(enough_was_asked, "each client was answered some times")

    def enough_was_asked() -> bool:
        return load.answered > 10 * CLIENTS

    load.during(kill)
    assert load.failed == []


def gateway_log_since_its_start(steward: Steward) -> list[dict[str, Any]]:
    lines = logged(steward.stack, "gateway-lookup")
    started = max(at for at, line in enumerate(lines) if line.get("event") == "registry_loaded")
    return lines[started:]


def test_while_the_gateway_is_killed_services_reach_each_other_and_keep_their_leases(
    steward: Steward,
) -> None:
    before = steward.ask("GET", "gateway-lookup", "/registry").json()["items"]
    held = {
        one["instance_id"]
        for item in before
        for one in item["instances"]
        if item["service_name"] != "gateway-lookup" and one["status"] != "expired"
    }
    peers = ("notification", "two-factor", CONSUMER)
    load = Load(steward, [("GET", f"/peers/{name}", 200) for name in peers])

    def kill() -> None:
        steward.stack.kill("gateway-lookup")
        steward.stack.wait_healthy("gateway-lookup")

    load.during(kill)
    assert load.failed == []

    def renewals() -> list[dict[str, Any]]:
        return [
            line
            for line in gateway_log_since_its_start(steward)
            if line.get("method") == "PUT" and line.get("route", "").endswith("/instances/{instanceId}")
        ]

    poll_until(
        lambda: sum(line["status"] == 200 for line in renewals()) >= len(held),
        "everybody renews",
        RENEWED_SECONDS,
    )
    log = gateway_log_since_its_start(steward)
    # All were there at once, nobody registered anew, and nobody asked again and again.
    assert log[0]["leases"] >= len(held)
    assert {line["registered"] for line in log if line.get("event") == "instance_registered"} <= {
        "gateway-lookup"
    }
    # Who comes before the gateway can verify tokens again is told to come back, and does.
    assert {line["status"] for line in renewals()} <= {200, 503}
    assert len(held) <= sum(line["status"] == 200 for line in renewals()) <= 2 * len(held)
