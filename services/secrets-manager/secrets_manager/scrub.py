"""Verifying the audit by itself, round after round, a piece at a time. Pure: time and verification are
passed in.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from secrets_manager.audit_verify import Report

PIECE: Final = 10_000
"""Records in one piece: a tenth of a second's work, spread over one second."""
ROUND_SECONDS: Final = 600.0
"""A new round begins so long after the one before began, or when that has ended."""

Verify = Callable[[int | None, int], Awaitable[Report]]


class Scrub:
    """Looks at one piece a call.

    Args:
        verify: goes over so many records behind a position; None is the beginning.
        monotonic: seconds.
    """

    def __init__(self, verify: Verify, *, monotonic: Callable[[], float]) -> None:
        self._verify, self._monotonic = verify, monotonic
        self._after: int | None = None
        self._next_round = float("-inf")
        self._found = False  # in this round
        self._broken = False  # in the round before

    async def intact(self) -> bool:
        """Go over the next piece, if its time has come; tell whether nothing is wrong, as far as is known.

        What was found wrong stays so until a whole round has found nothing.
        """
        now = self._monotonic()
        if self._after is not None or now >= self._next_round:
            if self._after is None:
                self._next_round, self._found = now + ROUND_SECONDS, False
            report = await self._verify(self._after, PIECE)
            self._found = self._found or not report.intact
            self._after = report.next
            if self._after is None:
                self._broken = self._found
        return not (self._broken or self._found)
