"""A revocation is honoured within ten seconds, and that a signing key has gone within thirty. The clock is
the loop's own, and leaps.
"""

from asyncio import sleep
from typing import Any

import pytest
from fountain_common.errors import Unauthenticated
from fountain_common.fakes.leaping import LeapingLoop, run
from fountain_common.fakes.tokens import ISSUER, TokenMaker
from fountain_common.tokens import Caller
from fountain_common.verifier import TokenVerifier

WITHIN = 10.0
KEY_GONE_WITHIN = 30.0


class Issuer:
    """Has another identity revoked just after it has said which ones are: no moment is worse.

    Args:
        seconds: that its answer takes.
        fails: whether every second question fails at once.
    """

    def __init__(self, loop: LeapingLoop, seconds: float, fails: bool) -> None:
        self._loop, self._seconds, self._fails = loop, seconds, fails
        self._maker = TokenMaker(clock=loop.time)
        self._asked = 0
        self.revoked_at: list[float] = []

    async def jwks(self) -> dict[str, Any]:
        return self._maker.jwks()

    async def revocations(self) -> dict[str, Any]:
        self._asked += 1
        said = [{"subject": f"eve-{number}", "not_before": 1e9} for number in range(len(self.revoked_at))]
        self.revoked_at.append(self._loop.time())
        if self._fails and self._asked % 2 == 0:
            raise ConnectionError
        await sleep(self._seconds)
        return {"issued_at": int(self._loop.time()), "revocations": said}


@pytest.mark.parametrize(
    ("seconds", "fails"),
    [(0.0, False), (1.9, False), (0.0, True)],
    ids=["at once", "slowly", "every second time not"],
)
def test_a_revocation_is_honoured_in_time(seconds: float, fails: bool) -> None:
    async def work(loop: LeapingLoop) -> None:
        issuer = Issuer(loop, seconds, fails)
        verifier = TokenVerifier(ISSUER, "orders", issuer, clock=loop.time, monotonic=loop.time)
        honoured_at: list[float] = []

        def note() -> None:
            while verifier.revoked(caller(len(honoured_at))):
                honoured_at.append(loop.time())

        verifier.on_revocation(note)
        await verifier.start()
        await sleep(100.0)
        await verifier.stop()
        waits = [then - since for since, then in zip(issuer.revoked_at, honoured_at, strict=False)]
        assert len(waits) >= 10
        assert max(waits) <= WITHIN
        # Nor is it asked all the time.
        assert len(issuer.revoked_at) <= 30

    run(work)


def test_the_first_revocations_take_nothing_away() -> None:
    """Nobody was honoured before; our own tokens, just fetched, outlive a Secrets Manager that dies now."""

    async def work(loop: LeapingLoop) -> None:
        issuer = Issuer(loop, 0.0, False)
        verifier = TokenVerifier(ISSUER, "orders", issuer, clock=loop.time, monotonic=loop.time)
        told: list[bool] = []
        verifier.on_revocation(lambda: told.append(True))
        await verifier.start()
        assert told == []
        await sleep(WITHIN)
        assert told
        await verifier.stop()

    run(work)


class Replacing:
    """Replaces its signing key just after it has said which it is: no moment is worse. Sends no event.

    Attributes:
        asked: how often it was asked for its keys.
        replaced_at: when it did so last.
        last: signs with the key that it replaced last.
    """

    def __init__(self, loop: LeapingLoop) -> None:
        self._loop = loop
        self._next = TokenMaker(clock=loop.time)
        self.last, self.replaced_at, self.asked = self._next, 0.0, 0

    async def jwks(self) -> dict[str, Any]:
        self.asked += 1
        self.last, self.replaced_at = self._next, self._loop.time()
        self._next = TokenMaker(clock=self._loop.time)
        return self.last.jwks()

    async def revocations(self) -> dict[str, Any]:
        return {"issued_at": int(self._loop.time()), "revocations": []}


def test_a_key_that_has_gone_is_honoured_no_more_in_time_although_nobody_tells() -> None:
    async def work(loop: LeapingLoop) -> None:
        issuer = Replacing(loop)
        verifier = TokenVerifier(ISSUER, "orders", issuer, clock=loop.time, monotonic=loop.time)
        await verifier.start()
        for _ in range(4):
            since, maker = issuer.replaced_at, issuer.last
            # The second is not among those that were verified before.
            known, unseen = (maker.token("eve", (), "orders") for _ in range(2))
            assert await honours(verifier, known)
            while await honours(verifier, known):
                assert loop.time() <= since + KEY_GONE_WITHIN
                await sleep(0.25)
            assert not await honours(verifier, unseen)
        await verifier.stop()
        # Nor are they fetched all the time: once at the start, and for each refused token once at most.
        assert issuer.asked <= 13

    run(work)


class Away:
    """Does not answer for a while, either question."""

    def __init__(self, loop: LeapingLoop) -> None:
        self._maker, self._loop = TokenMaker(clock=loop.time), loop
        self.away, self.asked = False, 0

    async def jwks(self) -> dict[str, Any]:
        self._ask()
        return self._maker.jwks()

    async def revocations(self) -> dict[str, Any]:
        self._ask()
        return {"issued_at": int(self._loop.time()), "revocations": []}

    def _ask(self) -> None:
        self.asked += 1
        if self.away:
            raise ConnectionError


def test_once_the_issuer_is_back_keys_and_revocations_are_current_within_a_second() -> None:
    async def work(loop: LeapingLoop) -> None:
        issuer = Away(loop)
        verifier = TokenVerifier(ISSUER, "orders", issuer, clock=loop.time, monotonic=loop.time)
        await verifier.start()
        for _ in range(3):
            issuer.away, issuer.asked = True, 0
            await sleep(KEY_GONE_WITHIN + 1)
            assert not verifier.current
            assert issuer.asked <= 2 * (KEY_GONE_WITHIN + 1)
            issuer.away = False
            await sleep(1.01)
            assert verifier.current
        await verifier.stop()

    run(work)


async def honours(verifier: TokenVerifier, token: str) -> bool:
    try:
        await verifier.verify(token)
    except Unauthenticated:
        return False
    return True


def caller(number: int) -> Caller:
    return Caller(f"eve-{number}", (), "", "", "", ("orders",), issued_at=0.0, expires_at=1e9)
