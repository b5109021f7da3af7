"""API keys that are exchanged."""

import asyncio
import pickle
import secrets

import pytest
from fountain_common.api_keys import CachedKeyExchange
from fountain_common.errors import TooManyRequests, Unauthenticated, Unavailable
from fountain_common.requests import accept, enter, leave
from fountain_common.testing import FakeClock


def new_key() -> str:
    return f"fnt_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"


class Issuer:
    def __init__(self) -> None:
        self.asked: list[str] = []
        self.through_edge: list[bool] = []
        self.clients: list[str] = []
        self.honoured: set[str] = set()
        self.down = False
        self.at_once = self.most_at_once = 0

    async def exchange(
        self, api_key: str, *, through_edge: bool = False, client: str = ""
    ) -> tuple[str, float]:
        self.asked.append(api_key)
        self.clients.append(client)
        self.through_edge.append(through_edge)
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        await asyncio.sleep(0.001)
        self.at_once -= 1
        if self.down:
            raise Unavailable("away")
        if api_key not in self.honoured:
            raise Unauthenticated("no")
        return f"token-{len(self.asked)}", 900.0


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def exchange(issuer: Issuer, clock: FakeClock) -> CachedKeyExchange:
    async def sleep(seconds: float) -> None:
        # Whoever waits lets others go on, and has waited once nobody can.
        for _ in range(1000):
            await asyncio.sleep(0)
        clock.advance(seconds)

    return CachedKeyExchange(issuer, monotonic=clock, sleep=sleep)


async def test_a_key_is_exchanged_once_until_its_token_is_near_its_end(
    exchange: CachedKeyExchange, issuer: Issuer, clock: FakeClock
) -> None:
    key = new_key()
    issuer.honoured.add(key)
    assert {await exchange.exchange(key) for _ in range(5)} == {"token-1"}
    clock.advance(871)
    assert await exchange.exchange(key) == "token-2"


async def test_many_requests_with_one_key_make_one_exchange(
    exchange: CachedKeyExchange, issuer: Issuer
) -> None:
    key = new_key()
    issuer.honoured.add(key)
    assert set(await asyncio.gather(*(exchange.exchange(key) for _ in range(50)))) == {"token-1"}


async def test_a_refused_key_is_not_asked_about_again_for_a_while(
    exchange: CachedKeyExchange, issuer: Issuer, clock: FakeClock
) -> None:
    key = new_key()
    for _ in range(20):
        with pytest.raises(Unauthenticated):
            await exchange.exchange(key)
    assert len(issuer.asked) == 1
    issuer.honoured.add(key)
    clock.advance(10.1)
    assert await exchange.exchange(key)


async def test_a_right_key_passes_at_once_however_many_wrong_ones_another_address_shows(
    exchange: CachedKeyExchange, issuer: Issuer
) -> None:
    right = new_key()
    issuer.honoured.add(right)
    wrong = [asyncio.create_task(exchange.exchange(new_key(), "203.0.113.9")) for _ in range(2000)]
    await asyncio.sleep(0)
    assert (await exchange.exchange(right, "198.51.100.7")).startswith("token")
    assert len(issuer.asked) <= 20
    results = await asyncio.gather(*wrong, return_exceptions=True)
    assert {type(result) for result in results} == {Unauthenticated, TooManyRequests}
    assert len(issuer.asked) <= 51
    assert issuer.most_at_once <= 4


async def test_a_right_key_passes_among_wrong_ones_from_its_own_address(
    exchange: CachedKeyExchange, issuer: Issuer
) -> None:
    right = new_key()
    issuer.honoured.add(right)
    wrong = [asyncio.create_task(exchange.exchange(new_key(), "203.0.113.9")) for _ in range(40)]
    await asyncio.sleep(0)
    assert (await exchange.exchange(right, "203.0.113.9")).startswith("token")
    results = await asyncio.gather(*wrong, return_exceptions=True)
    assert all(isinstance(result, Unauthenticated) for result in results)


async def test_a_key_that_was_honoured_before_passes_whatever_its_address_shows_besides(
    exchange: CachedKeyExchange, issuer: Issuer
) -> None:
    right = new_key()
    issuer.honoured.add(right)
    await exchange.exchange(right, "203.0.113.9")
    exchange.forget_all()
    wrong = [asyncio.create_task(exchange.exchange(new_key(), "203.0.113.9")) for _ in range(200)]
    await asyncio.sleep(0)
    assert (await exchange.exchange(right, "203.0.113.9")).startswith("token")
    assert len(issuer.asked) <= 20
    await asyncio.gather(*wrong, return_exceptions=True)


async def test_wrong_keys_from_one_address_are_tried_slowly(
    exchange: CachedKeyExchange, clock: FakeClock
) -> None:
    began = clock()
    for _ in range(120):
        with pytest.raises(Unauthenticated):
            await exchange.exchange(new_key(), "203.0.113.9")
    assert clock() - began == pytest.approx(20, abs=0.5)


async def test_who_goes_away_waits_no_more(exchange: CachedKeyExchange, issuer: Issuer) -> None:
    waiting = [asyncio.create_task(exchange.exchange(new_key(), "203.0.113.9")) for _ in range(40)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    right = new_key()
    issuer.honoured.add(right)
    assert await exchange.exchange(right, "203.0.113.9")
    assert len(issuer.asked) <= 20
    assert exchange._unknown.standing == 0


async def test_who_goes_away_leaves_those_who_show_the_same_key_in_peace(
    exchange: CachedKeyExchange, issuer: Issuer
) -> None:
    key = new_key()
    issuer.honoured.add(key)
    first, second = (asyncio.create_task(exchange.exchange(key)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "token-1"


async def test_what_a_key_is_worth_inside_says_nothing_about_the_edge(
    exchange: CachedKeyExchange, issuer: Issuer
) -> None:
    key = new_key()
    issuer.honoured.add(key)
    await exchange.exchange(key)
    edge = enter(accept({b"x-fountain-edge": b"1"}, "203.0.113.9"))
    try:
        await exchange.exchange(key)
        issuer.honoured.clear()
        exchange.forget_all()
        with pytest.raises(Unauthenticated):
            await exchange.exchange(key)
    finally:
        leave(edge)
    assert issuer.through_edge == [False, True, True]


async def test_one_token_is_forgotten_and_not_the_one_that_came_after_it(
    exchange: CachedKeyExchange, issuer: Issuer
) -> None:
    key = new_key()
    issuer.honoured.add(key)
    exchange.forget(key, await exchange.exchange(key))
    assert await exchange.exchange(key) == "token-2"
    exchange.forget(key, "token-1")
    assert await exchange.exchange(key) == "token-2"


@pytest.mark.parametrize("text", ["", "fnt_", "x" * 5000, "Bearer abc", "fnt_abc_def", "fnt_é_" + "a" * 43])
async def test_what_does_not_look_like_a_key_is_refused_without_asking(
    exchange: CachedKeyExchange, issuer: Issuer, text: str
) -> None:
    with pytest.raises(Unauthenticated):
        await exchange.exchange(text)
    assert issuer.asked == []


async def test_an_outage_is_not_a_refusal(exchange: CachedKeyExchange, issuer: Issuer) -> None:
    key = new_key()
    issuer.honoured.add(key)
    issuer.down = True
    with pytest.raises(Unavailable):
        await exchange.exchange(key)
    issuer.down = False
    assert await exchange.exchange(key)


async def test_neither_key_nor_secret_is_kept(exchange: CachedKeyExchange, issuer: Issuer) -> None:
    key = new_key()
    issuer.honoured.add(key)
    await exchange.exchange(key)
    kept = pickle.dumps([list(exchange._tokens), list(exchange._refused), repr(exchange)])
    assert key.split("_", 2)[2].encode() not in kept


async def test_after_a_revocation_every_key_is_exchanged_anew(
    exchange: CachedKeyExchange, issuer: Issuer
) -> None:
    key = new_key()
    issuer.honoured.add(key)
    await exchange.exchange(key)
    issuer.honoured.clear()
    exchange.forget_all()
    with pytest.raises(Unauthenticated):
        await exchange.exchange(key)


async def test_the_issuer_is_told_the_address_itself_and_not_its_network(
    exchange: CachedKeyExchange, issuer: Issuer
) -> None:
    with pytest.raises(Unauthenticated):
        await exchange.exchange(new_key(), "2001:db8::7")
    assert issuer.clients == ["2001:db8::7"]
