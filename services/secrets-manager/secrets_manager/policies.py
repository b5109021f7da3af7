"""When a scheduled rotation is due. Pure: time is passed in, in seconds since 1970; cron is read in UTC."""

from dataclasses import dataclass
from typing import Final

from croniter import CroniterBadDateError, CroniterError, croniter  # type: ignore[import-untyped]

MIN_INTERVAL_SECONDS: Final = 60
DEFAULT_OVERLAP_SECONDS: Final = 900.0
DEFAULT_DEADLINE_SECONDS: Final = 300.0
MOST_DRAINING: Final = 32
"""Each reader gets them all. With so many, the next rotation waits, but for an immediate one."""
_CRON_FIELDS: Final = 5
_LOOK_AHEAD_SECONDS: Final = 366 * 86_400.0


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
    if _crowds(policy):
        raise InvalidPolicyError(
            f"More than {MOST_DRAINING} rotations would come within `overlap_seconds`: rotate more rarely, "
            "or shorten it."
        )


def _crowds(policy: Policy) -> bool:
    """Say whether its rotations come so thick that one has to wait for an earlier one's overlap."""
    moments: list[float] = []
    coming = next_after(policy, 0.0)
    while coming is not None and coming < _LOOK_AHEAD_SECONDS and len(moments) < 4 * MOST_DRAINING:
        moments.append(coming)
        coming = next_after(policy, coming)
    pairs = zip(moments, moments[MOST_DRAINING:], strict=False)
    return any(later - earlier < policy.overlap_seconds for earlier, later in pairs)


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
