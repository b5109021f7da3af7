"""Few at once, and everybody's turn: who asks for much makes nobody wait but himself."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Sleep = Callable[[float], Awaitable[object]]


class LaneFull(Exception):
    """Too many are waiting already."""


@dataclass(slots=True)
class _Lane:
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    standing: int = 0


class Turns:
    """Slots, and lanes of those who wait for one.

    Only the first of each lane stands for a slot, in the order of coming: between two of one lane every other
    lane has had its turn. Both locks are first come, first served, and let go of who is cancelled.

    Args:
        at_once: the number of slots.
        in_a_lane, in_all: so many may stand, those with a slot included; more are turned away.
        sleep: waits some seconds.
    """

    def __init__(self, at_once: int, in_a_lane: int, in_all: int, *, sleep: Sleep = asyncio.sleep) -> None:
        self._slots = asyncio.Semaphore(at_once)
        self._in_a_lane, self._in_all, self._sleep = in_a_lane, in_all, sleep
        self._lanes: dict[Hashable, _Lane] = {}
        self.standing = 0
        """How many stand in all lanes."""

    @asynccontextmanager
    async def take(self, lane: Hashable, pause: Callable[[], float] = lambda: 0.0) -> AsyncIterator[None]:
        """Have a slot while this is entered.

        Args:
            lane: whose.
            pause: answers the seconds that this lane has to wait more, once it is its turn; it holds no slot
                meanwhile.

        Raises:
            LaneFull: at once.
        """
        mine = self._lanes.setdefault(lane, _Lane())
        if mine.standing >= self._in_a_lane or self.standing >= self._in_all:
            if not mine.standing:
                del self._lanes[lane]
            raise LaneFull
        mine.standing += 1
        self.standing += 1
        try:
            async with mine.turn:
                seconds = pause()
                if seconds > 0:
                    await self._sleep(seconds)
                async with self._slots:
                    yield
        finally:
            mine.standing -= 1
            self.standing -= 1
            if not mine.standing:
                del self._lanes[lane]
