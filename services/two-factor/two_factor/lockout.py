"""When repeated wrong codes lock a factor, and for how long. Pure; times in seconds."""

from dataclasses import dataclass

FREE_FAILURES = 5
FIRST_LOCK_SECONDS = 30.0
LONGEST_LOCK_SECONDS = 3600.0
CLOCKS_DIFFER_SECONDS = 30.0
"""By so much the clocks of two replicas may differ."""


@dataclass(frozen=True)
class Lockout:
    """Wrong codes in a row, and until when no further one is looked at (0 for not locked)."""

    failures: int = 0
    locked_until: float = 0.0

    def remaining(self, now: float) -> float:
        """Seconds until a code is looked at again, 0 when it is now.

        A lock that is to last longer than it can was begun by a clock that has been set back since. It has
        ended: nobody is kept out for the hours that the clock goes through again. The failures still count.
        """
        left = self.locked_until - now
        return left if 0 < left <= _lock_seconds(self.failures) + CLOCKS_DIFFER_SECONDS else 0.0

    def after_failure(self, now: float) -> "Lockout":
        """The state after a wrong code: from the fifth in a row on, each locks twice as long as the last.

        At six digits, a window of three and an hour's lock at most, guessing takes decades on average.
        """
        failures = self.failures + 1
        if failures < FREE_FAILURES:
            return Lockout(failures)
        return Lockout(failures, now + _lock_seconds(failures))


def _lock_seconds(failures: int) -> float:
    """How long the lock after so many failures lasts."""
    return min(FIRST_LOCK_SECONDS * 2.0 ** max(0, min(failures - FREE_FAILURES, 20)), LONGEST_LOCK_SECONDS)
