"""Waiting for something to become true, with a deadline."""

import time
from collections.abc import Callable

_PAUSE_SECONDS = 0.05


def wait_until(check: Callable[[], bool], timeout: float) -> bool:
    """Ask until the answer is yes; False once `timeout` seconds have passed."""
    deadline = time.monotonic() + timeout
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE_SECONDS)
    return True
