"""A pause that froze nothing is no pause: the runtimes say so."""

from types import SimpleNamespace
from typing import Any

import pytest
from fountain_cli.stack import LocalStack, StackError, containers


def test_a_process_that_does_not_run_is_not_taken_for_frozen() -> None:
    away: Any = SimpleNamespace(_signal=lambda *_: 0)
    with pytest.raises(StackError, match="two-factor could not be frozen"):
        LocalStack.freeze(away, "two-factor")


def test_a_container_that_does_not_run_is_not_taken_for_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "signal_within", lambda _container, _signal: False)
    away: Any = SimpleNamespace(_docker=SimpleNamespace(containers=lambda _service: [{"Id": "away"}]))
    with pytest.raises(StackError, match="two-factor could not be frozen"):
        containers.Containers.freeze(away, "two-factor")
