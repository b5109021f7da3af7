"""Those who are told that events were missed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from fountain_common.gaps import Gaps
from prometheus_client import CollectorRegistry, Counter
from waiting import until

Log = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def gaps(registry: CollectorRegistry) -> AsyncIterator[Gaps]:
    gaps = Gaps(Counter("failures", "Handlers that failed.", registry=registry), registry)
    yield gaps
    await gaps.stop()


async def test_one_that_raises_or_hangs_does_not_stop_the_others(
    gaps: Gaps, registry: CollectorRegistry
) -> None:
    told: list[int] = []

    @gaps.add
    async def raises() -> None:
        raise RuntimeError("no")

    @gaps.add
    async def hangs() -> None:
        await asyncio.Event().wait()

    @gaps.add
    async def remembers() -> None:
        told.append(1)

    gaps.tell()
    await until(lambda: told)
    assert registry.get_sample_value("failures_total") == 1


async def test_what_is_missed_while_they_run_makes_them_run_again_and_only_once(
    gaps: Gaps, registry: CollectorRegistry
) -> None:
    runs: list[int] = []
    gate = asyncio.Event()

    @gaps.add
    async def slow() -> None:
        runs.append(1)
        await gate.wait()

    gaps.tell()
    await until(lambda: runs)
    for _ in range(100):
        gaps.tell()
    gate.set()
    await until(lambda: len(runs) == 2)
    await until(lambda: gaps._task is not None and gaps._task.done())
    assert len(runs) == 2
    assert registry.get_sample_value("fountain_event_gaps_total") == 2


async def test_one_that_lets_a_cancellation_out_has_failed_and_the_others_are_told_again(
    gaps: Gaps, registry: CollectorRegistry
) -> None:
    told: list[int] = []

    @gaps.add
    async def lets_a_cancellation_out() -> None:
        other = asyncio.create_task(asyncio.Event().wait())
        other.cancel()
        await other

    @gaps.add
    async def is_told_of_another_one() -> None:
        told.append(1)
        if len(told) == 1:
            gaps.tell()
            await asyncio.sleep(0.01)

    gaps.tell()
    await until(lambda: len(told) == 2)
    await until(lambda: registry.get_sample_value("failures_total") == 2)


async def test_one_that_cancels_its_own_task_has_failed_and_the_others_are_told_again(
    gaps: Gaps, registry: CollectorRegistry, log: Log
) -> None:
    told: list[int] = []

    def cancel() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()

    @gaps.add
    async def cancels_itself() -> None:
        cancel()
        await asyncio.sleep(0)

    @gaps.add
    async def cancels_itself_at_its_end() -> None:
        cancel()

    @gaps.add
    async def is_told_of_another_one() -> None:
        told.append(1)
        if len(told) == 1:
            await asyncio.sleep(0.01)
            gaps.tell()

    gaps.tell()
    await until(lambda: len(told) == 2)
    await until(lambda: registry.get_sample_value("failures_total") == 4)
    assert [line["event"] for line in log()] == ["gap_handler_failed"] * 4


async def test_stopping_ends_those_that_run_beside_one_that_cancelled_itself(gaps: Gaps) -> None:
    runs: list[str] = []

    @gaps.add
    async def waits() -> None:
        runs.append("begins")
        try:
            await asyncio.Event().wait()
        finally:
            runs.append("ends")

    @gaps.add
    async def cancels_itself() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        runs.append("cancelled")

    gaps.tell()
    await until(lambda: len(runs) == 2)
    await asyncio.sleep(0)
    await gaps.stop()
    assert runs == ["begins", "cancelled", "ends"]
