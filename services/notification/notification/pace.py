"""How fast to clear away beside those who are being served (pure).

There is one writer. What is removed in one go holds up every event that is published meanwhile, so portions
are made as large as a short moment allows, and most of the time is left to the others.
"""

LONGEST_SECONDS = 0.01
"""One portion is to take no longer."""
REST = 2.0
"""So many times as long as a portion took, nothing is removed."""
SMALLEST, LARGEST = 8, 500


class Pace:
    """The size of the next portion, after how long the ones before it took."""

    def __init__(self) -> None:
        self.portion = 64

    def rest(self, took: float) -> float:
        """Return for how long to rest.

        Args:
            took: seconds of the last portion, the waiting for others included.
        """
        if took > LONGEST_SECONDS:
            self.portion = max(SMALLEST, self.portion // 2)
        elif took < LONGEST_SECONDS / 2:
            self.portion = min(LARGEST, self.portion * 2)
        return REST * took
