"""Handlers that run when another version became active."""

import asyncio
from collections.abc import AsyncIterator
from types import MappingProxyType

import pytest
from fountain_common.holding import Document, Held, Version
from fountain_common.rotation_handlers import RotationHandlers
from waiting import until


class Instance:
    """What one instance holds, and how often its handlers have finished."""

    def __init__(self) -> None:
        self.held = Held()
        self.finished: list[int] = []
        self.handlers = RotationHandlers("orders", self.held, lambda: self.finished.append(self.held.active))

    def activate(self, number: int, epoch: str = "e") -> None:
        self.held.take(Document(epoch, number, (Version(number, "active", MappingProxyType({"K": "v"})),)))
        self.handlers.look()


@pytest.fixture
async def instance() -> AsyncIterator[Instance]:
    instance = Instance()
    instance.activate(1)
    instance.handlers.nothing_to_do()
    instance.handlers.start()
    yield instance
    await instance.handlers.stop()


async def test_the_first_version_gives_them_nothing_to_do(instance: Instance) -> None:
    assert instance.handlers.succeeded
    instance.activate(2)
    assert not instance.handlers.succeeded
    await until(lambda: instance.finished == [2])
    assert instance.handlers.succeeded


async def test_one_that_hangs_gives_way_to_the_next_version(instance: Instance) -> None:
    runs: list[str] = []

    @instance.handlers.add
    async def hangs_once(version: int) -> None:
        runs.append(f"begins {version}")
        if version == 2:
            try:
                await asyncio.Event().wait()
            finally:
                runs.append("ends 2")

    instance.activate(2)
    await until(lambda: runs)
    instance.activate(3)
    await until(lambda: instance.finished == [3])
    assert runs == ["begins 2", "ends 2", "begins 3"]


@pytest.mark.parametrize("takes_back", [False, True])
async def test_one_that_swallows_its_cancellation_does_not_count_for_the_next_version(
    instance: Instance, takes_back: bool
) -> None:
    runs: list[int] = []

    @instance.handlers.add
    async def swallows(version: int) -> None:
        runs.append(version)
        if version == 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                task = asyncio.current_task()
                assert task is not None
                if takes_back:
                    task.uncancel()
                await asyncio.sleep(0)

    instance.activate(2)
    await until(lambda: runs)
    instance.activate(3)
    await until(lambda: instance.finished)
    assert (runs, instance.finished) == ([2, 3], [3])


async def test_one_that_makes_another_error_of_its_cancellation_gives_way_to_the_next_version(
    instance: Instance,
) -> None:
    runs: list[int] = []

    @instance.handlers.add
    async def translates(version: int) -> None:
        runs.append(version)
        if version == 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise ConnectionError from None

    instance.activate(2)
    await until(lambda: runs)
    instance.activate(3)
    await until(lambda: instance.finished)
    assert (runs, instance.finished) == ([2, 3], [3])


async def test_looking_again_does_not_begin_again(instance: Instance) -> None:
    runs: list[int] = []
    gate = asyncio.Event()

    @instance.handlers.add
    async def waits(version: int) -> None:
        runs.append(version)
        await gate.wait()

    instance.activate(2)
    await until(lambda: runs)
    instance.handlers.look()
    gate.set()
    await until(lambda: instance.finished)
    instance.handlers.look()
    assert (runs, instance.finished) == ([2], [2])


async def test_one_that_lets_a_cancellation_out_is_tried_again(instance: Instance) -> None:
    runs: list[str] = []

    @instance.handlers.add
    async def lets_a_cancellation_out_once(version: int) -> None:
        runs.append("first")
        if len(runs) == 1:
            other = asyncio.create_task(asyncio.Event().wait())
            other.cancel()
            await other

    @instance.handlers.add
    async def succeeds(version: int) -> None:
        runs.append("second")

    instance.activate(2)
    await until(lambda: instance.finished == [2])
    assert runs == ["first", "second", "first"]


async def test_what_was_ended_in_the_middle_begins_again_at_the_next_look(instance: Instance) -> None:
    runs: list[int] = []

    @instance.handlers.add
    async def ends_its_task_once(version: int) -> None:
        runs.append(version)
        task = asyncio.current_task()
        assert task is not None
        if len(runs) == 1:
            task.cancel()
            await asyncio.sleep(0)

    instance.activate(2)
    task = instance.handlers._task
    assert task is not None
    await asyncio.wait([task])
    assert not instance.handlers.succeeded
    instance.handlers.look()
    await until(lambda: instance.finished == [2])
    assert runs == [2, 2]
