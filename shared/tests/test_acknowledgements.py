"""What this instance says that it accepts and uses."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fountain_common.acknowledgements import Acknowledger, Phase
from fountain_common.errors import Unavailable
from fountain_common.holding import Held, read_document
from waiting import until


def document(epoch: str = "e", **states: str) -> dict[str, Any]:
    versions = [
        {"version": int(name[1:]), "state": state, "secrets": {"KEY": name}} for name, state in states.items()
    ]
    active = next(version for version in versions if version["state"] == "active")
    return {"version": active["version"], "secrets": active["secrets"], "versions": versions, "epoch": epoch}


class Instance:
    """What one instance holds, and what it has said."""

    def __init__(self) -> None:
        self.held = Held()
        self.said: list[tuple[int, str]] = []
        self.deaf = 0
        self.acknowledger = Acknowledger("orders", self.held, self._send)

    async def _send(self, version: int, phase: Phase) -> bool:
        await asyncio.sleep(0)
        if self.deaf:
            self.deaf -= 1
            raise Unavailable("away")
        self.said.append((version, phase))
        return version in self.held.versions

    def hold(self, epoch: str = "e", **states: str) -> None:
        first = self.held.active == 0
        assert self.held.take(read_document(document(epoch, **states)))
        self.acknowledger.held_anew(first=first)


@pytest.fixture
async def instance() -> AsyncIterator[Instance]:
    instance = Instance()
    instance.hold(v1="active")
    await instance.acknowledger.start()
    yield instance
    await instance.acknowledger.stop()


async def test_a_staged_version_is_accepted_and_not_used(instance: Instance) -> None:
    instance.hold(v1="active", v2="staged")
    await until(lambda: (2, "accepts") in instance.said)
    await until(lambda: instance.acknowledger.uses == 1)
    assert (2, "uses") not in instance.said


async def test_what_was_not_heard_is_said_again(instance: Instance) -> None:
    instance.deaf = 3
    instance.hold(v1="draining", v2="active")
    await until(lambda: instance.acknowledger.uses == 2)


async def test_a_handler_that_succeeded_is_not_run_again_for_one_that_did_not(instance: Instance) -> None:
    runs: list[str] = []

    @instance.acknowledger.on_rotation
    async def good(version: int) -> None:
        runs.append("good")

    @instance.acknowledger.on_rotation
    async def second_time_lucky(version: int) -> None:
        runs.append("lucky")
        if runs.count("lucky") == 1:
            raise ConnectionError

    instance.hold(v1="draining", v2="active")
    await until(lambda: instance.acknowledger.uses == 2)
    assert runs == ["good", "lucky", "lucky"]


async def test_a_failing_handler_holds_up_uses_and_not_the_next_accepts(
    instance: Instance,
) -> None:
    @instance.acknowledger.on_rotation
    async def never(version: int) -> None:
        raise ConnectionError

    instance.hold(v1="draining", v2="active")
    await until(lambda: (2, "accepts") in instance.said)
    instance.hold(v1="draining", v2="active", v3="staged")
    await until(lambda: (3, "accepts") in instance.said, 1.0)
    assert (2, "uses") not in instance.said


async def test_handlers_run_for_the_version_that_is_active_now(instance: Instance) -> None:
    runs: list[int] = []

    @instance.acknowledger.on_rotation
    async def remember(version: int) -> None:
        runs.append(version)

    instance.hold(v1="draining", v2="active")
    instance.hold(v2="draining", v3="active")
    await until(lambda: instance.acknowledger.uses == 3)
    assert runs == [3]


async def test_after_being_forgotten_everything_is_said_again(instance: Instance) -> None:
    await until(lambda: instance.acknowledger.uses == 1)
    instance.said.clear()
    instance.acknowledger.held_anew(first=False)
    await until(lambda: instance.acknowledger.uses == 1)
    assert instance.said == [(1, "accepts"), (1, "uses")]


async def test_a_handler_that_hangs_holds_up_uses_and_not_the_next_accepts(instance: Instance) -> None:
    @instance.acknowledger.on_rotation
    async def hangs(version: int) -> None:
        await asyncio.Event().wait()

    instance.hold(v1="draining", v2="active")
    await until(lambda: (2, "accepts") in instance.said)
    instance.hold(v1="draining", v2="active", v3="staged")
    await until(lambda: (3, "accepts") in instance.said, 1.0)
    assert (2, "uses") not in instance.said


async def test_after_a_restore_handlers_run_for_the_same_number_too(instance: Instance) -> None:
    runs: list[int] = []

    @instance.acknowledger.on_rotation
    async def remember(version: int) -> None:
        runs.append(version)

    await until(lambda: instance.acknowledger.uses == 1)
    instance.hold(epoch="restored", v1="active")
    await until(lambda: instance.acknowledger.uses == 1)
    assert runs == [1]
