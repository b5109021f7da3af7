"""When a part counts as well again."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

from chaos import watch
from chaos.history import History, Trouble
from chaos.schedule import Kind, Part

PART = Part("action")
Degraded = list[str] | None


def watched(kind: Kind, answers: list[Degraded], monkeypatch: pytest.MonkeyPatch) -> Trouble:
    """Return a trouble that has ended, after health checks that name what the part misses, or fail."""
    monkeypatch.setattr(watch, "_EAGER_SECONDS", 0.001)
    left = iter(answers)

    class Finished(Exception):
        pass

    async def ask_part(*_: Any, **__: Any) -> Any:
        try:
            degraded = next(left)
        except StopIteration:
            raise Finished from None
        if degraded is None:
            return None
        return SimpleNamespace(json=lambda: {"service": "action", "degraded": degraded})

    trouble = Trouble(PART, kind, time.time() - 2, time.time() - 1)
    history = History(troubles=[trouble])
    scene: Any = SimpleNamespace(history=history, moves=False, parts=[PART], ask_part=ask_part)
    with pytest.raises(ExceptionGroup) as ended:
        asyncio.run(watch.watch(scene))
    assert ended.group_contains(Finished)
    return trouble


@pytest.mark.parametrize("missed", ["secrets-manager", "gateway-lookup"])
def test_one_that_has_started_anew_is_well_once_it_has_joined(
    missed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble = watched(Kind.KILL, [None, [missed], [missed, "notification"]], monkeypatch)
    assert trouble.answered is not None
    assert trouble.recovered is None
    trouble = watched(Kind.KILL, [None, [missed], [missed], ["notification"]], monkeypatch)
    assert trouble.answered is not None
    assert trouble.recovered is not None
    assert trouble.answered < trouble.recovered


def test_one_that_was_frozen_is_well_when_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    trouble = watched(Kind.PAUSE, [None, ["gateway-lookup"]], monkeypatch)
    assert trouble.recovered == trouble.answered is not None


def test_one_that_does_not_answer_is_not_well(monkeypatch: pytest.MonkeyPatch) -> None:
    trouble = watched(Kind.KILL, [None, None], monkeypatch)
    assert (trouble.answered, trouble.recovered) == (None, None)
