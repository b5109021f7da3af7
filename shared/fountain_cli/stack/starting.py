"""A start of local processes that is under way: who is well, who keeps exiting, what was logged meanwhile."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fountain_cli.stack.face import StackError
from fountain_cli.stack.state import State
from fountain_cli.stack.supervisor import hopeless
from fountain_cli.stack.waiting import wait_until

_LOG_LINES = 15


class Start:
    """A start, from now on: what was logged before has no part in it.

    Args:
        state: where logs are.
        seconds: how long it may take.
    """

    def __init__(self, state: State, seconds: float) -> None:
        self._state, self._seconds = state, seconds
        self._deadline = time.monotonic() + seconds
        self._before = self._sizes()

    def wait_for(self, names: Sequence[str], healthy: Callable[[], bool], *, afresh: bool = False) -> None:
        """Wait until a service is healthy.

        Args:
            names: its processes; the first one's is its own.
            healthy: says whether it is.
            afresh: how often it has exited until now does not count.

        Raises:
            StackError: a process keeps exiting, or it takes too long; the message ends with what it logged.
        """
        manager = self._state.run / "supervisord.log"
        since = self._sizes() if afresh else self._before

        def given_up() -> bool:
            log = _read_since(manager, since)
            return any(hopeless(log, name) for name in names)

        in_time = wait_until(lambda: healthy() or given_up(), self._deadline - time.monotonic())
        if in_time and healthy():
            return
        why = "keeps exiting" if in_time else f"is not healthy after {self._seconds:.0f} s"
        paths = [self._state.logs / f"{name}.log" for name in names]
        lines = "".join(_read_since(path, self._before) for path in paths).splitlines()[-_LOG_LINES:]
        raise StackError("\n".join((f"{names[0]} {why}. The log of this start ends with:", *lines)))

    def _sizes(self) -> dict[Path, int]:
        paths = [*self._state.logs.glob("*.log"), self._state.run / "supervisord.log"]
        return {path: path.stat().st_size for path in paths if path.exists()}


def _read_since(path: Path, sizes: Mapping[Path, int]) -> str:
    """Return what a log has grown by; all of it where it was begun anew."""
    if not path.exists():
        return ""
    size = sizes.get(path, 0)
    with path.open("rb") as file:
        file.seek(size if size <= path.stat().st_size else 0)
        return file.read().decode(errors="replace")
