"""The lease of an instance."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from fountain_common.errors import Unavailable
from fountain_common.registrar import LeaseLostError, Registrar
from fountain_common.testing import FakeClock


async def until(true: Callable[[], object], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.002)


class Registry:
    def __init__(self) -> None:
        self.puts: list[tuple[dict[str, Any], str | None]] = []
        self.deleted: list[str] = []
        self.leases: dict[str, str] = {}
        self.error: Exception | None = None
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
