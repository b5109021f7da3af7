"""The order of a subscription's deliveries (pure): one lane for each subject, one delivery of a lane at a
time.

Only the head of each lane is held; what waits behind it stays in the database.
"""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Head:
    """The delivery that is next in its lane.

    Attributes:
        delivery: its id.
        position: its event's.
        subject: the lane.
        attempts: how many were made.
        due: unix seconds of the next one.
    """

    delivery: int
    position: int
    subject: str
    attempts: int
    due: float


class Lanes:
    """The heads of all lanes, in the order in which they are due."""

    def __init__(self) -> None:
        self._heads: dict[str, Head] = {}
        self._busy: set[str] = set()
        self._due: list[tuple[float, int, str]] = []
        self._changed: set[str] | None = None

    def __len__(self) -> int:
        return len(self._heads) + len(self._busy)

    def expect(self) -> None:
        """Note from now on which lanes change: heads are being looked up that `replace` will be given."""
        self._changed = set()

    def replace(self, heads: Iterable[Head]) -> None:
        """Take these heads for those held; lanes that are under way keep their place until `finish`.

        Those that changed since `expect` stay as they are: what was looked up may be from before that.
        """
        changed, self._changed = self._changed or set(), None
        newer = [head for subject, head in self._heads.items() if subject in changed]
        found = [head for head in heads if head.subject not in changed]
        self._heads, self._due = {}, []
        for head in (*newer, *found):
            self.offer(head)

    def offer(self, head: Head) -> None:
        """Add a delivery: it becomes its lane's head unless an earlier event is that, or is under way."""
        if self._changed is not None:
            self._changed.add(head.subject)
        if head.subject in self._busy:
            return
        held = self._heads.get(head.subject)
        if held is None or head.position <= held.position:
            self._heads[head.subject] = head
            heapq.heappush(self._due, (head.due, head.position, head.subject))

    def take(self, now: float) -> Head | None:
        """Take a head that is due; its lane is under way until `finish`."""
        self._forget_stale()
        if not self._due or self._due[0][0] > now:
            return None
        _, _, subject = heapq.heappop(self._due)
        self._busy.add(subject)
        return self._heads.pop(subject)

    def finish(self, subject: str, head: Head | None) -> None:
        """End what was under way in a lane; `head` is what comes next in it."""
        self._busy.discard(subject)
        if self._changed is not None:
            self._changed.add(subject)
        if head is not None:
            self.offer(head)

    def next_due(self) -> float | None:
        """Return when the next head is due, in unix seconds; None if there is none."""
        self._forget_stale()
        return self._due[0][0] if self._due else None

    def _forget_stale(self) -> None:
        # A head that was replaced leaves its entry behind; it goes when it comes up.
        while self._due:
            due, position, subject = self._due[0]
            head = self._heads.get(subject)
            if head is not None and (head.due, head.position) == (due, position):
                return
            heapq.heappop(self._due)
