"""The lease of an instance."""

import asyncio
import heapq
import random
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import httpx2
import pytest
from fountain_common.errors import Unavailable
from fountain_common.registrar import GatewayRegistry, LeaseLostError, Registrar, pause
from fountain_common.testing import FakeClock
from waiting import until


class Registry:
    def __init__(self) -> None:
        self.puts: list[tuple[dict[str, Any], str | None]] = []
        self.deleted: list[str] = []
        self.leases: dict[str, str] = {}
        self.error: BaseException | None = None
        self.renew_seconds = 10.0

    async def register(
        self, service: str, instance_id: str, body: Mapping[str, Any], lease_secret: str | None
    ) -> Mapping[str, Any]:
        await asyncio.sleep(0)
        self.puts.append((dict(body), lease_secret))
        if self.error is not None:
            raise self.error
        if lease_secret is not None and self.leases.get(instance_id) != lease_secret:
            raise LeaseLostError("404")
        answer: dict[str, Any] = {"renew_seconds": self.renew_seconds}
        if lease_secret is None:
            answer["lease_secret"] = self.leases[instance_id] = f"lease-{len(self.puts)}"
        return answer

    async def deregister(self, service: str, instance_id: str, lease_secret: str) -> None:
        self.deleted.append(lease_secret)


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
async def registrar(registry: Registry) -> Any:
    registrar = Registrar(registry, "orders", "i1", 8010, hosts=["o"], clock=FakeClock(1000.0))
    registrar.describe("Orders", "Takes orders.", "1.2.3")
    yield registrar
    await registrar.stop()


async def test_the_first_call_names_the_port_and_the_next_ones_carry_the_lease(
    registrar: Registrar, registry: Registry
) -> None:
    registry.renew_seconds = 0.01
    await registrar.start()
    await until(lambda: len(registry.puts) >= 3)
    body, lease = registry.puts[0]
    assert lease is None
    assert body == {
        "port": 8010,
        "scheme": "http",
        "hosts": ["o"],
        "status": "up",
        "title": "Orders",
        "description": "Takes orders.",
        "version": "1.2.3",
        "generation": 1_000_000,
    }
    assert {lease for _, lease in registry.puts[1:]} == {"lease-1"}


async def test_a_gateway_that_forgot_us_gets_a_new_registration_of_a_higher_generation(
    registrar: Registrar, registry: Registry
) -> None:
    registry.renew_seconds = 0.01
    await registrar.start()
    registry.leases.clear()
    await until(lambda: registry.leases)
    fresh = [body["generation"] for body, lease in registry.puts if lease is None]
    assert fresh == [1_000_000, 1_000_001]


async def test_with_the_gateway_away_the_service_starts_and_registers_later(
    registrar: Registrar, registry: Registry
) -> None:
    registry.error = Unavailable("away")
    await registrar.start()
    assert not registrar.registered
    registry.error = None
    await until(lambda: registrar.registered)


async def test_an_answer_that_cannot_be_read_does_not_end_the_renewals() -> None:
    class Gateway:
        body = "<html>"

        async def put(self, *_: Any, **__: Any) -> httpx2.Response:
            return httpx2.Response(200, text=self.body)

        async def delete(self, *_: Any, **__: Any) -> httpx2.Response:
            return httpx2.Response(204)

    gateway: Any = Gateway()
    registrar = Registrar(GatewayRegistry(gateway), "orders", "i1", 8010)
    await registrar.start()
    assert not registrar.registered
    gateway.body = '{"lease_secret": "s"}'
    await until(lambda: registrar.registered)
    await registrar.stop()


@pytest.mark.parametrize("kind", [RuntimeError, ValueError, asyncio.CancelledError])
async def test_whatever_goes_wrong_with_a_renewal_is_told_and_does_not_end_them(
    registrar: Registrar,
    registry: Registry,
    log: Callable[[], list[dict[str, Any]]],
    kind: type[BaseException],
) -> None:
    registry.renew_seconds = 0.01
    await registrar.start()
    registry.error = kind()
    await until(lambda: not registrar.registered)
    failed = [line for line in log() if line["event"] == "registration_failed"]
    assert [(line["level"], line["reason"]) for line in failed] == [("error", kind.__name__)]
    registry.error = None
    await until(lambda: registrar.registered)


async def test_an_error_that_nobody_thought_of_does_not_end_a_start(
    registrar: Registrar, registry: Registry
) -> None:
    registry.error = RuntimeError()
    await registrar.start()
    assert not registrar.registered
    registry.error = None
    await until(lambda: registrar.registered)


async def test_draining_is_said_before_leaving(registrar: Registrar, registry: Registry) -> None:
    await registrar.start()
    await registrar.drain()
    await registrar.stop()
    assert registry.puts[-1] == ({**registry.puts[0][0], "status": "draining"}, "lease-1")
    assert registry.deleted == ["lease-1"]


async def test_a_registry_that_never_answers_holds_up_neither_start_nor_stop(registry: Registry) -> None:
    class Silent(Registry):
        async def register(self, *_: Any) -> Mapping[str, Any]:
            await asyncio.Event().wait()
            raise AssertionError

    registrar = Registrar(Silent(), "orders", "i1", 8010)
    async with asyncio.timeout(3):
        await registrar.start()
        await registrar.stop()


@pytest.mark.parametrize("made_of_it", ["itself", "another error", "nothing"])
async def test_a_cancellation_ends_the_renewals_whatever_the_registry_makes_of_it(made_of_it: str) -> None:
    class Translating(Registry):
        waits = False

        async def register(self, *given: Any) -> Mapping[str, Any]:
            if not self.puts:
                return await super().register(*given)
            self.waits = True
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.waits = False
                if made_of_it == "another error":
                    raise httpx2.ConnectError("cancelled") from None
                if made_of_it == "itself":
                    raise
            return {}

    registry = Translating()
    registry.renew_seconds = 0.01
    registrar = Registrar(registry, "orders", "i1", 8010)
    await registrar.start()
    await until(lambda: registry.waits)
    async with asyncio.timeout(2):
        await registrar.stop()
    assert registry.deleted == ["lease-1"]


def test_it_may_be_started_again_in_another_event_loop() -> None:
    registry = Registry()
    registrar = Registrar(registry, "orders", "i1", 8010)

    async def live() -> None:
        await registrar.start()
        # Side by side: a lock belongs to a loop from when one waits for it.
        await asyncio.gather(registrar.drain(), registrar.drain())
        await registrar.stop()

    for _ in range(2):
        asyncio.run(live())
    assert len(registry.deleted) == 2


async def test_a_gateway_that_is_away_is_told_of_once_and_so_is_its_return(
    registrar: Registrar, registry: Registry, log: Callable[[], list[dict[str, Any]]]
) -> None:
    registry.renew_seconds = 0.01
    registry.error = Unavailable("away")
    await registrar.start()
    await until(lambda: len(registry.puts) >= 2)
    registry.error = None
    await until(lambda: registrar.registered)
    registry.error = httpx2.ConnectError("refused")
    await until(lambda: not registrar.registered)
    registry.error = None
    await until(lambda: registrar.registered)
    told = [(line["event"], line.get("reason")) for line in log() if "regist" in line["event"]]
    assert told == [
        ("registration_failed", "away"),
        ("registered", None),
        ("registration_failed", "ConnectError"),
        ("registered", None),
    ]


def arrivals(instances: int, away: float, together: bool) -> list[tuple[float, int]]:
    """Return when whose renewals reach a registry that comes back after `away` seconds, in its first ten.

    Its instances have all been started at once, or at any time before.
    """
    luck = random.Random(1)
    due = [(0.0 if together else luck.uniform(0, 10), number) for number in range(instances)]
    heapq.heapify(due)
    registered, failures, found = [not together] * instances, [0] * instances, []
    while due[0][0] < away + 10:
        now, number = heapq.heappop(due)
        back = now >= away
        if back:
            found.append((now - away, number))
        failures[number] = 0 if back or registered[number] else failures[number] + 1
        registered[number] = back
        heapq.heappush(due, (now + pause(back, failures[number], 10.0, luck.random()), number))
    return found


@pytest.mark.parametrize("away", [2.0, 10.0, 60.0])
@pytest.mark.parametrize("together", [False, True])
def test_a_registry_that_comes_back_is_not_stormed(away: float, together: bool) -> None:
    came = arrivals(1000, away, together)
    in_a_tenth = Counter(int(when * 10) for when, _ in came)
    assert max(in_a_tenth.values()) <= (150 if together else 75)
    # Everybody within the term of a lease, and hardly anybody twice within one renewal.
    assert len({number for _, number in came}) == 1000
    assert len(came) <= 2000
