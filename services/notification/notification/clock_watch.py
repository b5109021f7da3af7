"""Notices that the wall clock was set back (pure; both clocks are passed in).

What waits for a moment would wait so much longer: a retry of five minutes would come in an hour. A clock
that was set forward only lets things come sooner.
"""

NOTICED_SECONDS = 2.0
"""Less is a clock that is being corrected."""


class ClockWatch:
    """Compares the wall clock with one that nobody sets."""

    def __init__(self) -> None:
        self._ahead: float | None = None

    def set_back_by(self, wall: float, monotonic: float) -> float:
        """Return by how many seconds the wall clock was set back since the last look; 0 if it was not.

        Args:
            wall: unix seconds.
            monotonic: seconds.
        """
        before, self._ahead = self._ahead, wall - monotonic
        moved = 0.0 if before is None else before - self._ahead
        return moved if moved > NOTICED_SECONDS else 0.0
