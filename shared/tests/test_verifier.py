"""Keys and revocations that are held."""

import asyncio
from typing import Any

import pytest
from fountain_common.errors import Unauthenticated, Unavailable
from fountain_common.fakes.tokens import ISSUER, TokenMaker
from fountain_common.testing import FakeClock
from fountain_common.verifier import TokenVerifier


class Source:
    """Keys and revocations that a test changes."""

    def __init__(self, maker: TokenMaker) -> None:
        self.makers = [maker]
        self.entries: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.down = False
        self.slow = asyncio.Event()
        self.slow.set()
        self.ahead = 0

    async def jwks(self) -> dict[str, Any]:
        self.asked.append("jwks")
        await asyncio.sleep(0)
        if self.down:
            raise ConnectionError
        return {"keys": [key for maker in self.makers for key in maker.jwks()["keys"]]}

    async def revocations(self) -> dict[str, Any]:
        self.asked.append("revocations")
        await asyncio.sleep(0)
        await self.slow.wait()
        if self.down:
            raise ConnectionError
        return {"issued_at": int(self.makers[0].clock()) + self.ahead, "revocations": self.entries}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def maker(clock: FakeClock) -> TokenMaker:
    return TokenMaker(clock=clock)


@pytest.fixture
def source(maker: TokenMaker) -> Source:
    return Source(maker)


@pytest.fixture
async def verifier(source: Source, clock: FakeClock) -> TokenVerifier:
    verifier = TokenVerifier(ISSUER, "orders", source, clock=clock, monotonic=clock)
    await verifier.refresh_keys()
    await verifier.refresh_revocations()
    source.asked.clear()
    clock.advance(10)
    return verifier


async def test_a_verified_token_is_remembered_until_it_expires(
    verifier: TokenVerifier, maker: TokenMaker, clock: FakeClock
) -> None:
    token = maker.token("bob", [], "orders")
    assert await verifier.verify(token) is await verifier.verify(token)
    clock.advance(931)
    with pytest.raises(Unauthenticated, match="expired"):
        await verifier.verify(token)


async def test_the_memory_of_verified_tokens_is_bounded(
    source: Source, maker: TokenMaker, clock: FakeClock
) -> None:
    verifier = TokenVerifier(ISSUER, "orders", source, clock=clock, monotonic=clock, max_cached=3)
    for _ in range(10):
        await verifier.verify(maker.token("bob", [], "orders"))
    assert "3 verified" in repr(verifier)


async def test_tokens_from_before_a_revocation_are_refused_at_once_and_listeners_told(
    verifier: TokenVerifier, maker: TokenMaker, source: Source, clock: FakeClock
) -> None:
    told: list[bool] = []
    token = maker.token("bob", [], "orders")
    caller = await verifier.verify(token)
    verifier.on_revocation(lambda: told.append(verifier.revoked(caller)))
    source.entries = [{"subject": "bob", "not_before": clock() + 1}]
    await verifier.refresh_revocations()
    assert told == [True]
    with pytest.raises(Unauthenticated, match="revoked"):
        await verifier.verify(token)
    clock.advance(2)
    assert await verifier.verify(maker.token("bob", [], "orders"))


async def test_a_key_that_has_gone_takes_its_tokens_with_it(
    verifier: TokenVerifier, maker: TokenMaker, source: Source, clock: FakeClock
) -> None:
    token = maker.token("bob", [], "orders")
    await verifier.verify(token)
    source.makers = [TokenMaker(clock=clock)]
    await verifier.refresh_keys()
    clock.advance(5)
    with pytest.raises(Unauthenticated, match="not known"):
        await verifier.verify(token)


async def test_keys_and_revocations_are_kept_through_an_outage(
    verifier: TokenVerifier, maker: TokenMaker, source: Source, clock: FakeClock
) -> None:
    source.entries = [{"subject": "eve", "not_before": clock() + 3600}]
    await verifier.refresh_revocations()
    source.down = True
    await verifier.refresh_keys()
    await verifier.refresh_revocations()
    assert not verifier.current
    assert await verifier.verify(maker.token("bob", [], "orders"))
    with pytest.raises(Unauthenticated, match="revoked"):
        await verifier.verify(maker.token("eve", [], "orders"))


async def test_an_answer_that_is_no_key_set_changes_nothing(
    verifier: TokenVerifier, maker: TokenMaker, source: Source
) -> None:
    source.makers = []
    await verifier.refresh_keys()
    assert await verifier.verify(maker.token("bob", [], "orders"))


async def test_a_new_key_is_fetched_when_a_token_names_it(
    verifier: TokenVerifier, source: Source, clock: FakeClock
) -> None:
    newer = TokenMaker(clock=clock)
    source.makers.append(newer)
    assert await verifier.verify(newer.token("bob", [], "orders"))
    assert source.asked == ["jwks"]


async def test_a_thousand_unknown_keys_make_one_fetch_a_second(
    verifier: TokenVerifier, maker: TokenMaker, source: Source, clock: FakeClock
) -> None:
    async def refused(number: int) -> None:
        with pytest.raises(Unauthenticated, match="not known"):
            await verifier.verify(maker.token("eve", [], "orders", header={"kid": f"unknown-{number}"}))

    await asyncio.gather(*(refused(number) for number in range(500)))
    for number in range(500):
        clock.advance(0.002)
        await refused(number)
    assert 1 <= source.asked.count("jwks") <= 2
    clock.advance(1.0)
    await refused(1)
    assert source.asked.count("jwks") <= 3


async def test_before_the_issuer_was_reached_nothing_is_judged(
    source: Source, maker: TokenMaker, clock: FakeClock
) -> None:
    verifier = TokenVerifier(ISSUER, "orders", source, clock=clock, monotonic=clock)
    source.down = True
    with pytest.raises(Unavailable):
        await verifier.verify(maker.token("bob", [], "orders"))
    source.down = False
    clock.advance(1.1)
    assert await verifier.verify(maker.token("bob", [], "orders"))
    assert "revocations" in source.asked


async def test_who_comes_while_the_first_revocations_are_on_their_way_waits_for_these(
    source: Source, maker: TokenMaker, clock: FakeClock
) -> None:
    verifier = TokenVerifier(ISSUER, "orders", source, clock=clock, monotonic=clock)
    source.slow.clear()
    # A start waits for neither for long, and cuts neither off.
    await verifier.start(wait_seconds=0.01)
    assert not verifier.able
    callers = [asyncio.create_task(verifier.verify(maker.token("bob", [], "orders"))) for _ in range(3)]
    await asyncio.sleep(0)
    source.slow.set()
    assert [caller.subject for caller in await asyncio.gather(*callers)] == ["bob"] * 3
    assert source.asked == ["jwks", "revocations"]
    await verifier.stop()


async def test_an_issuer_that_calls_before_it_gives_out_keys_is_not_kept_waiting_for_them(
    source: Source, maker: TokenMaker, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fountain_common.verifier.PATIENCE_SECONDS", 0.01)
    verifier = TokenVerifier(ISSUER, "orders", source, clock=clock, monotonic=clock)
    source.slow.clear()
    await verifier.start(wait_seconds=0.01)
    async with asyncio.timeout(5):
        with pytest.raises(Unavailable):
            await verifier.verify(maker.token("secrets-manager", [], "orders"))
    source.slow.set()
    await verifier.wait_until_able()
    assert source.asked == ["jwks", "revocations"], "what was under way was not cut off"
    await verifier.stop()


async def test_an_issuer_that_is_away_is_asked_once_a_second_however_many_tokens_come(
    source: Source, maker: TokenMaker, clock: FakeClock
) -> None:
    verifier = TokenVerifier(ISSUER, "orders", source, clock=clock, monotonic=clock)
    source.down = True
    for _ in range(50):
        with pytest.raises(Unavailable):
            await verifier.verify(maker.token("bob", [], "orders"))
    assert sorted(source.asked) == ["jwks", "revocations"]


async def test_many_who_ask_for_revocations_at_once_are_served_by_two_fetches(
    verifier: TokenVerifier, source: Source
) -> None:
    await asyncio.gather(*(verifier.refresh_revocations() for _ in range(50)))
    assert source.asked.count("revocations") <= 2


async def test_a_challenge_says_which_scheme_and_why(verifier: TokenVerifier, maker: TokenMaker) -> None:
    with pytest.raises(Unauthenticated) as caught:
        await verifier.verify(maker.token("bob", [], "stories"))
    challenge = caught.value.headers["WWW-Authenticate"]
    assert challenge.startswith('Bearer realm="orders", error="invalid_token"')
    assert "resource=orders" in challenge


async def test_starting_with_the_issuer_away_does_not_wait_for_it(source: Source, clock: FakeClock) -> None:
    verifier = TokenVerifier(ISSUER, "orders", source, clock=clock)
    source.down = True
    async with asyncio.timeout(3.5):
        await verifier.start()
    await verifier.stop()


async def test_when_a_key_has_gone_its_callers_are_revoked_and_listeners_told(
    verifier: TokenVerifier, maker: TokenMaker, source: Source, clock: FakeClock
) -> None:
    newer = TokenMaker(clock=clock)
    source.makers.append(newer)
    await verifier.refresh_keys()
    forged = await verifier.verify(maker.token("bob", [], "orders"))
    right = await verifier.verify(newer.token("bob", [], "orders"))
    told: list[tuple[bool, bool]] = []
    verifier.on_revocation(lambda: told.append((verifier.revoked(forged), verifier.revoked(right))))
    source.makers = [newer]
    await verifier.refresh_keys()
    assert told == [(True, False)]


async def test_a_key_that_has_come_takes_nothing_away(
    verifier: TokenVerifier, maker: TokenMaker, source: Source, clock: FakeClock
) -> None:
    token = maker.token("bob", [], "orders")
    caller = await verifier.verify(token)
    told: list[bool] = []
    verifier.on_revocation(lambda: told.append(True))
    source.makers.append(TokenMaker(clock=clock))
    await verifier.refresh_keys()
    assert told == []
    assert await verifier.verify(token) is caller


async def test_a_listener_that_raises_stops_neither_the_others_nor_the_fetching(
    verifier: TokenVerifier, source: Source, clock: FakeClock
) -> None:
    told: list[int] = []

    def raises() -> None:
        raise RuntimeError("no")

    verifier.on_revocation(raises)
    verifier.on_revocation(lambda: told.append(len(source.entries)))
    for number in (1, 2):
        source.entries = [{"subject": f"eve-{each}", "not_before": clock()} for each in range(number)]
        await verifier.refresh_revocations()
    assert told == [1, 2]


async def test_fetching_goes_on_whatever_one_fetch_came_to(
    verifier: TokenVerifier,
) -> None:
    asked: list[int] = []
    twice = asyncio.Event()

    async def fetch() -> None:
        asked.append(1)
        if len(asked) == 2:
            twice.set()
        raise RuntimeError("not foreseen")

    repeating = asyncio.create_task(verifier._repeat(fetch, 0.0, lambda: False))
    async with asyncio.timeout(5):
        await twice.wait()
    repeating.cancel()
    await asyncio.gather(repeating, return_exceptions=True)


async def test_who_is_refused_for_the_time_learns_that_it_is_the_clock(
    verifier: TokenVerifier, maker: TokenMaker, source: Source, clock: FakeClock
) -> None:
    early = maker.token("bob", [], "orders")
    clock.advance(-3600)
    with pytest.raises(Unauthenticated, match=r"not valid yet\.$"):
        await verifier.verify(early)
    source.ahead = 3600
    await verifier.refresh_revocations()
    assert not verifier.clock_agrees
    with pytest.raises(Unauthenticated, match=r"not valid yet\. The clock of orders is 3600 seconds behind"):
        await verifier.verify(early)
    with pytest.raises(Unauthenticated, match=r"not a JWT\.$"):
        await verifier.verify("a.b.c")
    clock.advance(3600)
    source.ahead = 0
    await verifier.refresh_revocations()
    assert verifier.clock_agrees
    assert await verifier.verify(early)


async def test_a_clock_that_is_wrong_by_less_than_the_leeway_is_right(
    verifier: TokenVerifier, source: Source
) -> None:
    for source.ahead in (30, -30):
        await verifier.refresh_revocations()
        assert verifier.clock_agrees


def test_it_may_be_started_again_in_another_event_loop(maker: TokenMaker, clock: FakeClock) -> None:
    source = Source(maker)
    verifier = TokenVerifier(ISSUER, "orders", source, clock=clock, monotonic=clock)

    async def live() -> None:
        source.slow = asyncio.Event()
        source.slow.set()
        await verifier.start()
        # Side by side: a lock belongs to a loop from when one waits for it.
        await asyncio.gather(
            *(fetch() for fetch in (verifier.refresh_keys, verifier.refresh_revocations) * 2)
        )
        await verifier.wait_until_able()
        await verifier.stop()

    for _ in range(2):
        asyncio.run(live())
