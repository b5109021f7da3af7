"""A revocation is honoured within ten seconds. The clock is the loop's own, and leaps."""

from asyncio import sleep
from typing import Any

import pytest
from fountain_common.fakes.leaping import LeapingLoop, run
from fountain_common.fakes.tokens import ISSUER, TokenMaker
from fountain_common.tokens import Caller
from fountain_common.verifier import TokenVerifier

WITHIN = 10.0


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


def caller(number: int) -> Caller:
    return Caller(f"eve-{number}", (), "", "", "", ("orders",), issued_at=0.0, expires_at=1e9)
