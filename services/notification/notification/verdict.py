"""What follows from an attempt (pure)."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from notification.schedule import next_attempt, read_retry_after
from notification.sender import Answer

Status = Literal["pending", "delivered", "dead", "dropped"]

GONE = 410
_REDIRECTS = range(300, 400)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a delivery.

    Attributes:
        status: of the delivery.
        next_at: unix seconds of the next attempt, while it is pending.
        error: why the attempt failed; None if it did not.
        gone: the receiver wants nothing any more: the subscription ends.
    """

    status: Status
    next_at: float = 0.0
    error: str | None = None
    gone: bool = False

    @property
    def succeeded(self) -> bool:
        """Tell whether the receiver has it."""
        return self.status == "delivered"


def judge(
    outcome: Answer | str, attempts: int, now: float, rng: random.Random, schedule: Sequence[float]
) -> Verdict:
    """Return what follows.

    Args:
        outcome: the answer, or why there was none.
        attempts: how many were made, this one included.
        now: unix seconds.
        rng: where the jitter comes from.
        schedule: see `schedule`.
    """
    if isinstance(outcome, Answer) and 200 <= outcome.status < 300:
        return Verdict("delivered")
    error = outcome if isinstance(outcome, str) else _reason(outcome.status)
    if isinstance(outcome, Answer) and outcome.status == GONE:
        return Verdict("dead", error=error, gone=True)
    wish = read_retry_after(outcome.retry_after, now) if isinstance(outcome, Answer) else 0.0
    at = next_attempt(attempts, now, rng, schedule, wish)
    return Verdict("dead", error=error) if at is None else Verdict("pending", at, error)


def _reason(status: int) -> str:
    if status in _REDIRECTS:
        return f"The receiver answered {status}; redirects are not followed."
    if status == GONE:
        return "The receiver answered 410: it is gone for good."
    return f"The receiver answered {status}."
