"""Waiting for a group to be complete before it is committed.

A commit costs nearly the same for one row as for fifty, so those who are about to join are worth a moment.
How long that is, the event loop knows: it is over when some turns of it have brought nobody. On an idle
service that is tens of microseconds; on a busy one the turns are longer, and the group is all who are there.
"""

import asyncio
from collections.abc import Callable

# A request that has arrived takes two: one reads it, the next runs it.
_QUIET_TURNS = 2


async def gathered(size: Callable[[], int], most: int) -> None:
    """Return once the group has stopped growing, or has `most` members."""
    seen, quiet = size(), 0
    while quiet < _QUIET_TURNS and seen < most:
        await asyncio.sleep(0)
        now = size()
        quiet = 0 if now > seen else quiet + 1
        seen = now
