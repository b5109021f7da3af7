"""The newest events in memory: what almost every reader needs, read once from nowhere but here."""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence

from notification.event import Stored

MAX_EVENTS = 8192
MAX_BYTES = 16 * 1024 * 1024


class Tail:
    """The end of the log, without a hole, bounded in number and in bytes.

    Args:
        start: nothing at or before this position is held.
    """

    def __init__(self, start: int = 0, *, max_events: int = MAX_EVENTS, max_bytes: int = MAX_BYTES) -> None:
        self._max_events, self._max_bytes = max_events, max_bytes
        self._events: list[Stored] = []
        self._positions: list[int] = []
        self._bytes = 0
        self.start = start

    def __len__(self) -> int:
        return len(self._events)

    def extend(self, events: Iterable[Stored]) -> None:
        """Add events behind all that are held; the oldest go when there are too many."""
        more = list(events)
        self._events += more
        self._positions += [event.position for event in more]
        self._bytes += _size(more)
        if len(self._events) > self._max_events or self._bytes > self._max_bytes:
            self._shrink()

    def _shrink(self) -> None:
        # Half goes at once, so that the cost of moving the rest is shared by many events.
        gone = max(0, len(self._events) - self._max_events // 2)
        self._bytes -= _size(self._events[:gone])
        while gone < len(self._events) and self._bytes > self._max_bytes // 2:
            self._bytes -= len(self._events[gone].body)
            gone += 1
        self.start = self._positions[gone - 1]
        del self._events[:gone], self._positions[:gone]

    def after(self, position: int) -> Sequence[Stored] | None:
        """Return the events behind a position; None when they are not all here."""
        if position < self.start:
            return None
        return self._events[bisect_right(self._positions, position) :]

    def replace(self, event: Stored) -> None:
        """Put an event, whose data was erased, in the place of the one at its position."""
        index = bisect_right(self._positions, event.position) - 1
        if index >= 0 and self._positions[index] == event.position:
            self._bytes += len(event.body) - len(self._events[index].body)
            self._events[index] = event

    def remove(self, positions: Collection[int]) -> None:
        """Remove events that the log does not hold any more."""
        if not self._positions or max(positions, default=0) < self._positions[0]:
            return
        gone = set(positions)
        self._events = [event for event in self._events if event.position not in gone]
        self._positions = [event.position for event in self._events]
        self._bytes = _size(self._events)


def _size(events: Iterable[Stored]) -> int:
    return sum([len(event.body) for event in events])
