"""Whether two machines' wall clocks agree, as far as one can tell from what the other says that it is."""

from collections.abc import Callable


class ClockAgreement:
    """Compares the wall clock here with another machine's.

    Args:
        clock: the one here, unix seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ahead = 0.0

    def heard(self, other: float, asked_at: float) -> None:
        """Take note of what the other clock has said, in whole seconds.

        How long that was under way nobody knows: what can be by right clocks is no difference.

        Args:
            other: unix seconds.
            asked_at: the time here before the other was asked.
        """
        self._ahead = max(0.0, asked_at - other - 1) or min(0.0, self._clock() - other)

    def within(self, seconds: float) -> bool:
        """Tell whether they agree but for so many seconds; also while the other was not heard."""
        return abs(self._ahead) <= seconds

    def said(self, here: str, there: str) -> str:
        """Say in a sentence how they differ, for those who suffer from it."""
        how = f"{abs(self._ahead):.0f} seconds {'ahead of' if self._ahead > 0 else 'behind'}"
        return f"The clock of {here} is {how} that of {there}: one of the two is wrong."
