"""An event loop whose time passes by what its tasks wait for, and by nothing else: it goes to the next moment
as soon as nothing is left to do. What threads do takes no time in it.
"""

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from typing import Any


class _Leaping(selectors.DefaultSelector):
    """Waits for nothing but what is there already; how long it should have waited is time that has passed."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            return super().select(timeout)
        found = super().select(0)
        if not found:
            self.passed += max(0.0, timeout)
        return found


class LeapingLoop(asyncio.SelectorEventLoop):
    """Its time is in seconds, from 0."""

    def __init__(self) -> None:
        self._leaping = _Leaping()
        super().__init__(self._leaping)

    def time(self) -> float:
        """Return how much has passed."""
        return self._leaping.passed


def run(work: Callable[[LeapingLoop], Awaitable[None]]) -> None:
    """Run this in such a loop, which it is given."""
    loop = LeapingLoop()
    try:
        loop.run_until_complete(work(loop))
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
