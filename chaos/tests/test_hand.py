"""The hand does what is drawn, and lets go of everything even if the run is broken off."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from chaos.hand import MOST_UNWELL, Hand
from chaos.history import History
from chaos.schedule import Disturbance, Kind, Part

ONE, TWO = Part("consumer"), Part("consumer", 1)


class Recorder:
    """A stack that writes down what is done to it."""

    def __init__(self, refuses: str = "") -> None:
        self.done: list[tuple[str, str, int]] = []
        self._refuses = refuses

    def __getattr__(self, verb: str) -> Any:
        def do(service: str, replica: int) -> None:
            self.done.append((verb, service, replica))
            if verb == self._refuses:
                raise RuntimeError(f"{verb} is refused")

        return do


def scene_of(stack: Recorder) -> Any:
    return SimpleNamespace(stack=stack, history=History(), forget=lambda part: None)


def follow(stack: Recorder, *schedule: Disturbance) -> tuple[History, list[str]]:
    said: list[str] = []
    scene = scene_of(stack)
    asyncio.run(Hand(scene, said.append).follow(schedule, 60.0))
    return scene.history, said


@pytest.mark.parametrize(
    ("kind", "done"),
    [
        (Kind.KILL, ["kill"]),
        (Kind.STOP, ["halt", "resume"]),
        (Kind.RESTART, ["halt", "resume"]),
        (Kind.PAUSE, ["freeze", "thaw"]),
    ],
)
def test_each_kind_is_done_and_undone_to_its_replica(kind: Kind, done: list[str]) -> None:
    stack = Recorder()
    history, said = follow(stack, Disturbance(0.0, TWO, kind))
    assert stack.done == [(verb, "consumer", 1) for verb in done]
    [trouble] = history.troubles
    assert (trouble.part, trouble.kind, trouble.note) == (TWO, kind, "")
    assert trouble.ended is not None
    assert trouble.began <= trouble.ended
    assert said == [f"{kind} consumer/1"]


def test_what_a_runtime_refuses_is_written_down_and_the_rest_goes_on() -> None:
    stack = Recorder(refuses="kill")
    history, _ = follow(stack, Disturbance(0.0, ONE, Kind.KILL), Disturbance(0.0, TWO, Kind.PAUSE))
    assert "kill is refused" in history.troubles[0].note
    assert ("thaw", "consumer", 1) in stack.done


def test_nobody_stays_frozen_or_stopped_when_the_run_is_broken_off() -> None:
    stack = Recorder()
    scene = scene_of(stack)

    async def broken_off() -> None:
        long = 600.0
        schedule = [Disturbance(0.0, ONE, Kind.STOP, long), Disturbance(0.0, TWO, Kind.PAUSE, long)]
        following = asyncio.create_task(Hand(scene, lambda line: None).follow(schedule, 1000.0))
        async with asyncio.timeout(10):
            while len(stack.done) < 2:
                await asyncio.sleep(0.001)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    asyncio.run(broken_off())
    assert sorted(stack.done[2:]) == [("resume", "consumer", 0), ("thaw", "consumer", 1)]


def test_a_part_that_is_not_up_yet_is_left_alone_and_what_comes_too_late_is_left_out() -> None:
    stack = Recorder()
    scene = scene_of(stack)
    twice = [Disturbance(0.0, ONE, Kind.KILL), Disturbance(0.0, ONE, Kind.KILL)]

    async def until_it_is_up() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(Hand(scene, lambda line: None).follow(twice, 0.5))
            async with asyncio.timeout(10):
                while not stack.done or scene.history.troubles[0].ended is None:
                    await asyncio.sleep(0.001)
            await asyncio.sleep(0.7)
            assert len(stack.done) == 1
            scene.history.troubles[0].recovered = scene.history.troubles[0].ended

    asyncio.run(until_it_is_up())
    assert len(stack.done) == 1


def test_while_many_are_unwell_nobody_else_is_broken() -> None:
    stack = Recorder()
    scene = scene_of(stack)
    schedule = [Disturbance(0.0, Part("consumer", number), Kind.KILL) for number in range(MOST_UNWELL + 1)]

    async def until_one_is_up() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(Hand(scene, lambda line: None).follow(schedule, 60.0))
            async with asyncio.timeout(10):
                while len(stack.done) < MOST_UNWELL:
                    await asyncio.sleep(0.001)
            await asyncio.sleep(0.3)
            assert len(stack.done) == MOST_UNWELL
            scene.history.troubles[0].recovered = 1.0

    asyncio.run(until_one_is_up())
    assert len(stack.done) == MOST_UNWELL + 1
