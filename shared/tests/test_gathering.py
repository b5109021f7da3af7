import asyncio

from fountain_common.gathering import gathered


async def test_it_waits_while_others_join() -> None:
    group = [0]

    async def join() -> None:
        for number in range(5):
            await asyncio.sleep(0)
            group.append(number)

    joining = asyncio.create_task(join())
    await gathered(lambda: len(group), 100)
    assert len(group) == 6
    await joining


async def test_it_waits_no_longer_than_for_a_full_group() -> None:
    group: list[int] = []

    async def keep_joining() -> None:
        while True:
            group.append(0)
            await asyncio.sleep(0)

    joining = asyncio.create_task(keep_joining())
    await gathered(lambda: len(group), 10)
    assert len(group) <= 11
    joining.cancel()


async def test_it_does_not_wait_for_nobody() -> None:
    async with asyncio.timeout(1):
        await gathered(lambda: 1, 100)
