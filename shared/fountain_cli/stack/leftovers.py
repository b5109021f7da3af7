"""Processes that outlived their manager: if it is killed, what it kept runs on and holds the ports."""

import os
import signal
from pathlib import Path

from fountain_cli.stack.waiting import wait_until

_PROC = Path("/proc")


def leftovers(state: Path) -> list[int]:
    """Return the processes that were started with this state folder; without /proc none are found."""
    marker = f"FOUNTAIN_STATE_DIR={state}".encode()
    found = []
    for entry in _PROC.glob("[0-9]*"):
        try:
            words = (entry / "environ").read_bytes().split(b"\0")
            command = (entry / "cmdline").read_bytes()
        except OSError:  # it ended, or is somebody else's
            continue
        # A shell or a test may carry the same variable: only what the stack itself runs is meant.
        ours = b"entrypoint.py" in command or b"Caddyfile" in command
        if ours and marker in words and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


def end_leftovers(state: Path, timeout: float = 15) -> None:
    """End them in good order; kill those that do not within `timeout` seconds."""
    for pid in leftovers(state):
        _signal(pid, signal.SIGTERM)
    if not wait_until(lambda: not leftovers(state), timeout):
        for pid in leftovers(state):
            _signal(pid, signal.SIGKILL)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
