"""The platform of a run: it begins empty whatever came before, and no two runs share it."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fountain_cli.stack import StackError
from fountain_cli.stack.layout import repository

from chaos.stacks import started

_HOLD = """
import sys
from pathlib import Path
from types import SimpleNamespace
from chaos.stacks import started
stack = SimpleNamespace(
    state=SimpleNamespace(folder=Path(sys.argv[1])), start=lambda: None, stop=lambda remove: None
)
with started(stack):
    print("held", flush=True)
    sys.stdin.read()
"""


class Recorded:
    """A platform that writes down what is done to it."""

    def __init__(self, folder: Path, *, starts: bool = True) -> None:
        self.state, self.done, self._starts = SimpleNamespace(folder=folder), list[str](), starts

    def start(self) -> None:
        self.done.append("start")
        if not self._starts:
            raise StackError("It does not start.")

    def stop(self, *, remove: bool) -> None:
        self.done.append("remove" if remove else "stop")


def run(stack: Any) -> None:
    with started(stack):
        stack.done.append("run")


def test_what_a_killed_run_left_is_removed_before_the_start(tmp_path: Path) -> None:
    stack = Recorded(tmp_path / "platform")
    run(stack)
    run(stack)
    assert stack.done == ["remove", "start", "run", "remove"] * 2


def test_what_does_not_start_is_removed(tmp_path: Path) -> None:
    stack = Recorded(tmp_path / "platform", starts=False)
    with pytest.raises(StackError, match="does not start"):
        run(stack)
    assert stack.done == ["remove", "start", "remove"]


def test_a_second_run_leaves_the_first_ones_alone_until_that_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "platform"
    path = os.pathsep.join((str(repository()), str(repository() / "shared")))
    first = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(folder)],
        env={**os.environ, "PYTHONPATH": path}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with first:
        assert first.stdout is not None
        assert first.stdout.readline().strip() == "held"
        second = Recorded(folder)
        with pytest.raises(StackError, match=r"Another run has the platform .*platform"):
            run(second)
        assert second.done == []
        first.send_signal(signal.SIGKILL)
        first.wait(10)
        run(second)
    assert second.done == ["remove", "start", "run", "remove"]
