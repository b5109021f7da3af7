"""Publishing by a clock, and what must come of it at every reader.

Who waits for an answer before he publishes the next leaves out just those moments at which the other side is
slow. Here each is published when it is due, whatever became of those before, and is late from that moment on.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar

from benchmarks.processes import Broken

T = TypeVar("T")


class Published(NamedTuple):
    """An event as it was to be published: its subject, and when that was due, in `perf_counter` seconds."""

    subject: str
    due: float


class Receipt(NamedTuple):
    """An event as it came to a reader, in `perf_counter` seconds."""

    position: int
    subject: str
    at: float


async def by_the_clock(count: int, gap: float, publish: Callable[[int, float], Awaitable[T]]) -> list[T]:
    """Call `publish(number, due)` `count` times, `gap` seconds apart, each in a task of its own; return what
    came of each, by number.
    """
    start = time.perf_counter()

    async def one(number: int) -> T:
        due = start + number * gap
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        return await publish(number, due)

    return await asyncio.gather(*(one(number) for number in range(count)))


def delays(published: Mapping[int, Published], received: Iterable[Receipt]) -> list[float]:
    """Return how late each event came to one reader, in seconds since it was due.

    Args:
        published: all events, by position.
        received: in the order in which they came.

    Raises:
        Broken: it did not get exactly those, in order, each once.
    """
    came = list(received)
    expected = [(position, published[position].subject) for position in sorted(published)]
    if [(receipt.position, receipt.subject) for receipt in came] != expected:
        distinct = len({receipt.position for receipt in came} & published.keys())
        raise Broken(
            f"a reader got {distinct} of {len(expected)} events in {len(came)} receipts, "
            "not each once and in order"
        )
    return [receipt.at - published[receipt.position].due for receipt in came]
