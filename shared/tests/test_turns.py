"""Slots, and lanes of those who wait for one."""

import asyncio
from contextlib import suppress

import pytest
from fountain_common.turns import LaneFull, Turns


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


class Visitors:
    """Those who have a slot hold it until they are told to go."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.inside: list[str] = []
        self.served: list[str] = []
        self._go = asyncio.Semaphore(0)

    async def come(self, lane: str) -> None:
        async with self.turns.take(lane):
            self.inside.append(lane)
            self.served.append(lane)
            try:
                await self._go.acquire()
            finally:
                self.inside.remove(lane)

    async def one_goes(self) -> None:
        self._go.release()
        await settle()


async def test_lanes_take_turns_however_long_one_is() -> None:
    visitors = Visitors(Turns(1, 100, 100))
    tasks = [asyncio.create_task(visitors.come(lane)) for lane in "aaaaaaaabbc"]
    await settle()
    for _ in tasks:
        await visitors.one_goes()
    await asyncio.gather(*tasks)
    assert "".join(visitors.served) == "abcabaaaaaa"


async def test_one_of_a_lane_is_inside_and_no_more_than_there_are_slots() -> None:
    visitors = Visitors(Turns(2, 100, 100))
    tasks = [asyncio.create_task(visitors.come(lane)) for lane in "aabbcc"]
    await settle()
    assert sorted(visitors.inside) == ["a", "b"]
    for _ in tasks:
        await visitors.one_goes()
        assert len(visitors.inside) == len(set(visitors.inside)) <= 2
    await asyncio.gather(*tasks)


async def test_who_comes_to_a_full_lane_or_a_full_house_is_turned_away() -> None:
    visitors = Visitors(Turns(1, 2, 3))
    tasks = [asyncio.create_task(visitors.come(lane)) for lane in "aab"]
    await settle()
    with pytest.raises(LaneFull):
        await visitors.come("a")
    with pytest.raises(LaneFull):
        await visitors.come("c")
    for _ in tasks:
        await visitors.one_goes()
    await asyncio.gather(*tasks)
    assert visitors.turns.standing == 0
    assert visitors.turns._lanes == {}


async def test_a_lane_that_pauses_holds_no_slot() -> None:
    gate = asyncio.Event()

    async def sleep(seconds: float) -> None:
        await gate.wait()

    turns = Turns(1, 10, 10, sleep=sleep)

    async def slow() -> None:
        async with turns.take("slow", lambda: 1.0):
            pass

    waiting = asyncio.create_task(slow())
    await settle()
    async with asyncio.timeout(5), turns.take("quick"):
        assert not waiting.done()
    gate.set()
    await waiting


async def test_who_is_cancelled_leaves_nothing_behind() -> None:
    visitors = Visitors(Turns(1, 10, 10))
    tasks = [asyncio.create_task(visitors.come(lane)) for lane in "aab"]
    await settle()
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert visitors.turns.standing == 0
    async with asyncio.timeout(5), visitors.turns.take("a"):
        pass
