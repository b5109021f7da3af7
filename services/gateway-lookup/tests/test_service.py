"""The gateway's work on a clock of numbers, with a real database."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from fountain_common.db import Database
from fountain_common.errors import Conflict, NotFound, Unavailable
from fountain_common.testing import FakeClock
from gateway_lookup.leases import Claim, Lease
from gateway_lookup.lookups import StaticEntry
from gateway_lookup.service import Gateway
from gateway_lookup.settings import GatewaySettings

MIGRATIONS = Path(__file__).parent.parent / "gateway_lookup" / "migrations"
CLAIMS = [Claim(name, "a" * 32, name, "10.0.0.7", 8000 + number) for number, name in enumerate("abcd")]


def with_gateway(folder: Path, work: Callable[[Gateway, FakeClock], Awaitable[None]]) -> None:
    async def run() -> None:
        db = Database(f"sqlite:///{folder}/gateway.db")
        db.migrate(MIGRATIONS)
        clock = FakeClock(1000.0)
        gateway = Gateway(GatewaySettings(runtime="local", data_dir=folder), db, clock)
        try:
            await gateway.load()
            await work(gateway, clock)
        finally:
            await db.close()

    asyncio.run(run())


def found(gateway: Gateway) -> set[str]:
    return {claim.service for claim in CLAIMS if gateway.registry.lookup(claim.service)}


async def nobody(lease: Lease) -> bool:
    raise AssertionError(f"{lease.claim.service} need not be asked")


def test_mass_expiry_spares_those_that_answer_and_ends_the_others(tmp_path: Path) -> None:
    async def work(gateway: Gateway, clock: FakeClock) -> None:
        for claim in CLAIMS:
            await gateway.register(claim, None)
        clock.advance(31)

        async def probe(lease: Lease) -> bool:
            return lease.claim.service in ("a", "b")

        await gateway.sweep(probe)
        assert found(gateway) == {"a", "b"}
        clock.advance(31)
        await gateway.sweep(nobody)
        assert found(gateway) == set()

    with_gateway(tmp_path, work)


def test_one_that_renews_while_it_is_asked_about_is_kept(tmp_path: Path) -> None:
    async def work(gateway: Gateway, clock: FakeClock) -> None:
        secrets = {claim.service: (await gateway.register(claim, None)).secret for claim in CLAIMS}
        clock.advance(31)

        async def probe(lease: Lease) -> bool:
            if lease.claim.service == "a":
                await gateway.register(CLAIMS[0], secrets["a"])
            return False

        await gateway.sweep(probe)
        assert found(gateway) == {"a"}

    with_gateway(tmp_path, work)


def test_one_that_renews_while_its_end_is_written_is_kept(tmp_path: Path) -> None:
    async def work(gateway: Gateway, clock: FakeClock) -> None:
        secret = (await gateway.register(CLAIMS[0], None)).secret
        clock.advance(31)
        # The second begins as soon as the first waits for the disk.
        await asyncio.gather(gateway.sweep(nobody), gateway.register(CLAIMS[0], secret))
        assert found(gateway) == {"a"}

    with_gateway(tmp_path, work)


def test_an_end_that_cannot_be_written_has_not_come(tmp_path: Path) -> None:
    async def work(gateway: Gateway, clock: FakeClock) -> None:
        await gateway.register(CLAIMS[0], None)
        clock.advance(31)
        await gateway.db.close()
        with pytest.raises(Unavailable):
            await gateway.sweep(nobody)
        assert found(gateway) == {"a"}

    with_gateway(tmp_path, work)


def test_a_few_that_expire_are_not_asked(tmp_path: Path) -> None:
    async def work(gateway: Gateway, clock: FakeClock) -> None:
        for claim in CLAIMS[:2]:
            await gateway.register(claim, None)
        clock.advance(31)
        await gateway.sweep(nobody)
        assert found(gateway) == set()

    with_gateway(tmp_path, work)


def test_after_a_restart_every_lease_has_one_full_term(tmp_path: Path) -> None:
    async def first(gateway: Gateway, clock: FakeClock) -> None:
        await gateway.register(CLAIMS[0], None)

    async def second(gateway: Gateway, clock: FakeClock) -> None:
        clock.advance(29)
        await gateway.sweep(nobody)
        assert found(gateway) == {"a"}
        clock.advance(2)
        await gateway.sweep(nobody)
        assert found(gateway) == set()

    with_gateway(tmp_path, first)
    with_gateway(tmp_path, second)


def test_addresses_that_were_dealt_anew_during_a_restart_are_free(tmp_path: Path) -> None:
    async def first(gateway: Gateway, clock: FakeClock) -> None:
        for claim in CLAIMS:
            await gateway.register(claim, None)

    async def second(gateway: Gateway, clock: FakeClock) -> None:
        # Everybody comes back as somebody new, at the address of the neighbour.
        dealt = zip(CLAIMS, [*CLAIMS[1:], CLAIMS[0]], strict=True)
        again = [replace(claim, instance="b" * 32, port=other.port, generation=1) for claim, other in dealt]
        for claim in again:
            await gateway.register(claim, None)
        for claim in again:
            assert [lease.claim for lease in gateway.registry.live(claim.service)] == [claim]
        with pytest.raises(Conflict):
            await gateway.register(replace(CLAIMS[0], port=again[1].port, generation=2), None)

    with_gateway(tmp_path, first)
    with_gateway(tmp_path, second)


def test_what_has_expired_is_not_there_after_a_restart(tmp_path: Path) -> None:
    async def first(gateway: Gateway, clock: FakeClock) -> None:
        await gateway.register(CLAIMS[0], None)
        clock.advance(31)
        await gateway.sweep(nobody)

    async def second(gateway: Gateway, clock: FakeClock) -> None:
        assert found(gateway) == set()

    with_gateway(tmp_path, first)
    with_gateway(tmp_path, second)


def test_a_renewal_writes_nothing(tmp_path: Path) -> None:
    async def work(gateway: Gateway, clock: FakeClock) -> None:
        secret = (await gateway.register(CLAIMS[0], None)).secret
        await gateway.db.close()  # from here on a write would be refused
        clock.advance(10)
        renewed = await gateway.register(CLAIMS[0], secret)
        assert renewed.lease.expires_at == clock() + 30

    with_gateway(tmp_path, work)


def test_after_a_restart_a_thousand_renewals_write_nothing(tmp_path: Path) -> None:
    claims = [Claim("shop", f"{number:032x}", "shop", "10.0.0.7", 1000 + number) for number in range(1000)]
    secrets: dict[str, str | None] = {}

    async def first(gateway: Gateway, clock: FakeClock) -> None:
        granted = await asyncio.gather(*(gateway.register(claim, None) for claim in claims))
        secrets.update((one.lease.claim.instance, one.secret) for one in granted)

    async def second(gateway: Gateway, clock: FakeClock) -> None:
        await gateway.db.close()  # from here on a write would be refused
        clock.advance(20)
        for claim in claims:
            await gateway.register(claim, secrets[claim.instance])
        assert {lease.expires_at for lease in gateway.registry.live("shop")} == {clock() + 30}

    with_gateway(tmp_path, first)
    with_gateway(tmp_path, second)


def test_a_registration_that_cannot_be_kept_is_not_shown(tmp_path: Path) -> None:
    async def work(gateway: Gateway, clock: FakeClock) -> None:
        await gateway.db.close()
        with pytest.raises(Exception, match="stopping"):
            await gateway.register(CLAIMS[0], None)
        assert found(gateway) == set()

    with_gateway(tmp_path, work)


def test_of_two_that_want_one_address_at_once_one_has_it(tmp_path: Path) -> None:
    async def work(gateway: Gateway, clock: FakeClock) -> None:
        wanted = [replace(claim, port=9000) for claim in CLAIMS]
        outcomes = await asyncio.gather(
            *(gateway.register(claim, None) for claim in wanted), return_exceptions=True
        )
        assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 3
        assert len(found(gateway)) == 1

    with_gateway(tmp_path, work)


def test_static_entries_survive_a_restart(tmp_path: Path) -> None:
    async def first(gateway: Gateway, clock: FakeClock) -> None:
        await gateway.put_static(StaticEntry("legacy", "http://10.0.0.5:7000", ("old",)), create=True)

    async def second(gateway: Gateway, clock: FakeClock) -> None:
        assert gateway.registry.service_at("old") == "legacy"
        await gateway.remove_static("legacy")
        with pytest.raises(NotFound):
            await gateway.remove_static("legacy")
        assert gateway.registry.service_at("old") is None

    with_gateway(tmp_path, first)
    with_gateway(tmp_path, second)


def test_what_is_seen_of_a_suspect_while_it_is_asked_stands(tmp_path: Path) -> None:
    async def work(gateway: Gateway, clock: FakeClock) -> None:
        for claim in CLAIMS:
            await gateway.register(claim, None)
        clock.advance(31)

        async def probe(lease: Lease) -> bool:
            if lease.claim == CLAIMS[0]:
                gateway.lost(lease.claim.key)
            return True

        await gateway.sweep(probe)
        states = {name: gateway.registry.live(name)[0].state.value for name in "ab"}
        assert states == {"a": "down", "b": "up"}

    with_gateway(tmp_path, work)
