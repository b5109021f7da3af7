"""Twenty clients sign and open links through the edge while the secret is rotated twenty times."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx2
import pytest
from polling import poll_until
from steward import CONSUMER, TARGET, Steward

CLIENTS = 20
ROTATIONS = 20
OVERLAP_SECONDS = 5

T = TypeVar("T")


@dataclass
class Tally:
    """What was seen."""

    requests: int = 0
    failed: list[str] = field(default_factory=list)

    def count(self, answer: httpx2.Response, expected: int) -> None:
        """Count an answer; another one than expected is a failure."""
        self.requests += 1
        if answer.status_code != expected:
            self.failed.append(f"{answer.request.method} {answer.status_code} {answer.text[:200]}")


async def _sign_and_open(
    client: httpx2.AsyncClient, headers: dict[str, str], tally: Tally, stop: asyncio.Event
) -> None:
    while not stop.is_set():
        try:
            signed = await client.post("/links", json={"target": TARGET}, headers=headers)
            tally.count(signed, 201)
            if signed.status_code == 201:
                tally.count(await client.get(f"/links/{signed.json()['token']}", headers=headers), 307)
        except httpx2.HTTPError as error:
            tally.failed.append(repr(error))


async def _under_load(steward: Steward, tally: Tally, act: Callable[[], T]) -> T:
    """Do something while the clients go on, and return what came of it."""
    stop = asyncio.Event()
    headers = steward.headers(CONSUMER)
    async with steward.stack.async_client(CONSUMER, connections=CLIENTS) as client:
        clients = [asyncio.create_task(_sign_and_open(client, headers, tally, stop)) for _ in range(CLIENTS)]
        try:
            return await asyncio.to_thread(act)
        finally:
            stop.set()
            await asyncio.gather(*clients)


def test_not_one_request_fails_while_the_secret_rotates_twenty_times(
    steward: Steward, record_property: Callable[[str, object], None]
) -> None:
    steward.overlap(OVERLAP_SECONDS)
    # Instances that an earlier journey has killed are waited for here, and not below.
    steward.wait_for_state(steward.rotate()["rotation_id"], "retired", OVERLAP_SECONDS + 40)
    first = steward.active()
    tally = Tally()
    started = time.monotonic()

    def rotate(number: int) -> Any:
        rotation = steward.rotate()
        poll_until(lambda: tally.requests > 10 * number, "requests have come between two rotations")
        return rotation

    rotations = asyncio.run(_under_load(steward, tally, lambda: [rotate(n + 1) for n in range(ROTATIONS)]))
    seconds = time.monotonic() - started

    record_property("requests a second", round(tally.requests / seconds))
    assert tally.failed == []
    assert [rotation["version"] for rotation in rotations] == list(range(first + 1, first + 1 + ROTATIONS))
    for rotation in rotations:
        steward.wait_for_state(rotation["rotation_id"], "retired", OVERLAP_SECONDS + 20)


@pytest.mark.parametrize("victim", ["secrets-manager", "notification", "gateway-lookup"])
def test_not_one_request_fails_while_a_part_of_the_platform_is_killed(steward: Steward, victim: str) -> None:
    def kill() -> None:
        steward.stack.kill(victim)
        steward.stack.wait_healthy(victim)

    tally = Tally()
    asyncio.run(_under_load(steward, tally, kill))
    assert tally.failed == []
    assert tally.requests > CLIENTS
