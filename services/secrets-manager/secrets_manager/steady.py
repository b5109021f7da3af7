"""A clock for how long things take, which nobody can set.

What is set by hand or by a time server is the wall clock. A jump of it says nothing about how long a
version has been draining: one forward would retire it while things made with it are in use, one back would
keep it for ever.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

RATE: Final = 0.01
"""How far a second may be stretched or shortened on the way back to the wall clock."""


class SteadyClock:
    """Seconds since 1970 that pass as fast as monotonic time does, and never go back.

    It begins at the wall clock's time. After a jump of that one it follows slowly, by a hundredth of the time
    that passes, so that a waiting time is never wrong by more than that, and what it shows is right again
    after a while. May be called from any thread.

    Args:
        wall: seconds since 1970.
        monotonic: seconds.
    """

    def __init__(
        self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall, self._monotonic = wall, monotonic
        self._lock = threading.Lock()
        self._now, self._at = wall(), monotonic()

    def __call__(self) -> float:
        """Return the time."""
        with self._lock:
            at = self._monotonic()
            passed = at - self._at
            behind = self._wall() - (self._now + passed)
            most = RATE * passed
            self._now += passed + max(-most, min(most, behind))
            self._at = at
            return self._now
