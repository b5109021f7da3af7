"""When a scheduled rotation is due. Pure: time is passed in, in seconds since 1970; cron is read in UTC."""

import math
import re
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from croniter import CroniterBadDateError, CroniterError, croniter  # type: ignore[import-untyped]

MIN_INTERVAL_SECONDS: Final = 60
DEFAULT_OVERLAP_SECONDS: Final = 900.0
DEFAULT_DEADLINE_SECONDS: Final = 300.0
MOST_DRAINING: Final = 32
"""Each reader gets them all. With so many, the next rotation waits, but for an immediate one."""
_CRON_FIELDS: Final = 5
_DAY_SECONDS: Final = 86_400.0
_LEAP_YEAR: Final = 730 * _DAY_SECONDS
"""The beginning of 1972."""
_FOUR_YEARS: Final = 1461 * _DAY_SECONDS
# To croniter `R` is another moment at each call, and `H` one that is told by what else it is given.
_ANY_MOMENT: Final = re.compile(r"(?<![a-z])[hr](?![a-z])", re.IGNORECASE)


class InvalidPolicyError(ValueError):
    """A schedule that cannot be kept; the message says why."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How a secret is rotated: when (never by itself if both are None), with which overlap and deadline."""

    cron: str | None = None
    interval_seconds: int | None = None
    overlap_seconds: float = DEFAULT_OVERLAP_SECONDS
    deadline_seconds: float = DEFAULT_DEADLINE_SECONDS


def check(policy: Policy) -> None:
    """Refuse a policy that cannot be kept (InvalidPolicyError)."""
    if policy.cron is not None and policy.interval_seconds is not None:
        raise InvalidPolicyError("Give `cron` or `interval_seconds`, not both.")
    if policy.interval_seconds is not None and policy.interval_seconds < MIN_INTERVAL_SECONDS:
        raise InvalidPolicyError(f"`interval_seconds` is at least {MIN_INTERVAL_SECONDS}.")
    if policy.cron is not None and _ANY_MOMENT.search(policy.cron):
        raise InvalidPolicyError(
            "`cron` names its moments: `H` and `R` would stand for another moment each time."
        )
    next_after(policy, 0.0)  # Raises if it is not a schedule.
    if _crowds(policy):
        raise InvalidPolicyError(
            f"More than {MOST_DRAINING} rotations would come within `overlap_seconds`: rotate more rarely, "
            "or shorten it."
        )


def _crowds(policy: Policy) -> bool:
    """Say whether its rotations come so thick that one has to wait for an earlier one's overlap."""
    if policy.interval_seconds is not None:
        return MOST_DRAINING * policy.interval_seconds < policy.overlap_seconds
    # No two moments of a cron lie closer together than a minute.
    if policy.cron is None or policy.overlap_seconds <= MOST_DRAINING * 60:
        return False
    return _shortest_run(policy.cron) < policy.overlap_seconds


def _shortest_run(cron: str) -> float:
    """Return the seconds from a moment to the MOST_DRAINING-th behind it, where they lie closest together.

    Its days have the same moments each, so that not all moments of four years are asked for.
    """
    minute, hour, *days_of = cron.split()
    # Where days of the week count, as many years as it takes until each date has been each of them.
    years = _FOUR_YEARS if days_of[-1] == "*" else 7 * _FOUR_YEARS
    moments = _moments(f"{minute} {hour} * * *", _LEAP_YEAR + _DAY_SECONDS)
    days = _moments(" ".join(("0 0", *days_of)), _LEAP_YEAR + years)
    # From each moment of a day: so many of its days later, at that moment of the day.
    ends = [divmod(nth + MOST_DRAINING, len(moments)) for nth in range(len(moments))]
    shortest = {
        days_later: min(
            (b - a for a, b in zip(days, days[days_later:], strict=False)),
            default=math.inf if days_later else 0.0,
        )
        for days_later in {days_later for days_later, _ in ends}
    }
    return min(
        shortest[days_later] + moments[then] - moment
        for moment, (days_later, then) in zip(moments, ends, strict=True)
    )


def _moments(cron: str, end: float) -> list[float]:
    """Return the moments from the beginning of a leap year on, before `end`."""
    coming = croniter(cron, _LEAP_YEAR - 1)
    return list(takewhile(lambda moment: moment < end, iter(lambda: float(coming.get_next(float)), None)))


def next_after(policy: Policy, moment: float) -> float | None:
    """Return the first moment after `moment` at which the policy asks for a rotation; None if it never
    does.
    """
    if policy.interval_seconds is not None:
        return moment + policy.interval_seconds
    if policy.cron is None:
        return None
    if len(policy.cron.split()) != _CRON_FIELDS:
        raise InvalidPolicyError(
            "`cron` has five fields: minute, hour, day of month, month, day of week (UTC)."
        )
    try:
        return float(croniter(policy.cron, moment).get_next(float))
    except CroniterBadDateError as failure:
        raise InvalidPolicyError(f"`cron` {policy.cron!r} never comes.") from failure
    except (CroniterError, ValueError) as failure:
        raise InvalidPolicyError(f"`cron` {policy.cron!r} is not a schedule: {failure}") from failure


def mended(policy: Policy, next_at: float | None, now: float) -> float | None:
    """Return `next_at`, or an earlier moment if it was reckoned by a clock that was far ahead.

    A clock that was ahead by less than one of the policy's moments has rotated a moment early, and does not
    do it again.
    """
    if next_at is None or (soon := next_after(policy, now)) is None:
        return next_at
    after_that = next_after(policy, soon)
    return soon if after_that is not None and next_at > after_that else next_at


def due(next_at: float | None, now: float) -> bool:
    """Say whether a rotation is due. Moments that were missed while the service was down count once."""
    return next_at is not None and next_at <= now
