"""Answers that come late take nothing back that was accepted meanwhile."""

import asyncio
import random
from typing import Any

import httpx2
import pytest
from fountain_common.secrets import Secrets
from waiting import until


class SlowSource:
    """A Secrets Manager that says at once what is staged, and whose answers arrive when a test lets them."""

    def __init__(self) -> None:
        self.versions = [5]
        self.answers: list[tuple[asyncio.Event, list[int]]] = []
        self.accepted = 0

    async def request(
        self, method: str, service: str, path: str, *, headers: dict[str, str] | None = None, **options: Any
    ) -> httpx2.Response:
        if method == "POST":
            self.accepted = max(self.accepted, int(path.split("/")[-2]))
            return httpx2.Response(204)
        if method == "DELETE":
            return httpx2.Response(204)
        said, arrives = list(self.versions), asyncio.Event()
        self.answers.append((arrives, said))
        await arrives.wait()
        versions = [
            {"version": one, "state": "active" if one == 5 else "staged", "secrets": {"K": f"v{one}"}}
            for one in said
        ]
        document = {"epoch": "e", "version": 5, "secrets": {"K": "v5"}, "versions": versions}
        return httpx2.Response(200, json=document, headers={"ETag": f'"{said}"'})

    async def let_all_arrive(self, rng: random.Random | None = None) -> None:
        """Have what is under way arrive, in this order or in any, until nothing more is asked for."""
        for _ in range(20):
            await asyncio.sleep(0)
            waiting = [arrives for arrives, _ in self.answers if not arrives.is_set()]
            if waiting:
                (rng.choice(waiting) if rng else waiting[-1]).set()


@pytest.fixture
def slow() -> SlowSource:
    return SlowSource()


async def test_a_slow_answer_does_not_take_back_what_was_accepted_after_it_was_said(slow: SlowSource) -> None:
    secrets = Secrets("orders", "i1", slow)
    early = asyncio.create_task(secrets.fetch())
    await until(lambda: slow.answers)
    slow.versions = [5, 6]
    # The newest question is answered first.
    starting = asyncio.create_task(secrets.start())
    await slow.let_all_arrive()
    await asyncio.gather(early, starting)
    await until(lambda: slow.accepted == 6)
    assert secrets.versions == (5, 6)
    await secrets.stop()


async def test_a_slow_answer_of_granted_secrets_does_not_take_back_what_was_accepted(
    slow: SlowSource,
) -> None:
    ours = Secrets("orders", "i1", slow)
    asking = asyncio.create_task(ours.granted("billing"))
    await until(lambda: len(slow.answers) == 1)
    ours.refresh_soon("billing")
    await asyncio.sleep(0)
    slow.answers[0][0].set()
    # What the event asked for is under way while they are started.
    await until(lambda: len(slow.answers) > 1)
    slow.versions = [5, 6]
    ours.refresh_soon("billing")
    slow.answers[1][0].set()
    await until(lambda: slow.answers[-1][1] == [5, 6])
    await slow.let_all_arrive()
    billing = await asking
    await until(lambda: slow.accepted == 6)
    assert billing.versions == (5, 6)
    await ours.stop()


@pytest.mark.parametrize("seed", range(50))
async def test_in_whatever_order_things_come_an_accepted_version_is_held_until_it_is_gone(
    slow: SlowSource, seed: int
) -> None:
    rng = random.Random(seed)
    ours = Secrets("orders", "i1", slow)
    asking = asyncio.create_task(ours.granted("billing"))

    def hold() -> bool:
        billing = ours._others.get("billing")
        return billing is None or slow.accepted <= max(billing.versions, default=0)

    for _ in range(60):
        waiting = [arrives for arrives, _ in slow.answers if not arrives.is_set()]
        step = rng.choice(["stage", "event", "arrive", "arrive", "turn", "turn"])
        if step == "stage" and len(slow.versions) < 4:
            slow.versions = [*slow.versions, max(slow.versions) + 1]
            ours.refresh_soon("billing")
        elif step == "event":
            ours.refresh_soon()
        elif step == "arrive" and waiting:
            rng.choice(waiting).set()
        await asyncio.sleep(0)
        assert hold()
    await slow.let_all_arrive(rng)
    billing = await asking
    ours.refresh_soon("billing")
    await slow.let_all_arrive(rng)
    assert hold()
    assert billing.versions == (5, *sorted(slow.versions[1:], reverse=True))
    await ours.stop()


def test_they_are_fetched_in_one_event_loop_after_another(slow: SlowSource) -> None:
    secrets = Secrets("orders", "i1", slow)

    async def fetch_at_once() -> None:
        # Two, so that one has to wait for the other.
        both = [asyncio.create_task(secrets.fetch()) for _ in range(2)]
        await slow.let_all_arrive()
        await asyncio.gather(*both)

    asyncio.run(fetch_at_once())
    asyncio.run(fetch_at_once())
    assert secrets.versions == (5,)
