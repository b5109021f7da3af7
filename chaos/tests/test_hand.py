"""The hand does what is drawn, and lets go of everything even if the run is broken off."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from chaos.hand import Hand
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
    asyncio.run(Hand(scene, said.append).follow(schedule))
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
        following = asyncio.create_task(Hand(scene, lambda line: None).follow(schedule))
        async with asyncio.timeout(10):
            while len(stack.done) < 2:
                await asyncio.sleep(0.001)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    asyncio.run(broken_off())
    assert sorted(stack.done[2:]) == [("resume", "consumer", 0), ("thaw", "consumer", 1)]
