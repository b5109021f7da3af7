"""When a delivery is tried again (pure)."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from notification.durations import parse_duration

Schedule = tuple[float, ...]
"""Seconds before each attempt, counted from the one before it; the first from the event's storing."""

JITTER = 0.1
"""A wait is lengthened by up to this share of it, so that receivers which failed together are not tried
together.
"""
LONGEST_RETRY_AFTER_SECONDS = 86400.0
"""A receiver may put us off for a day at most at a time."""


def parse_schedule(raw: str) -> Schedule:
    """Read a schedule such as `0,5s,5m,2h`.

    Raises:
        ValueError: empty, or a part of it is no length of time.
    """
    schedule = tuple(parse_duration(part) for part in raw.split(",") if part.strip())
    if not schedule:
        raise ValueError("a schedule has at least one attempt")
    return schedule


def next_attempt(
    attempts: int, now: float, rng: random.Random, schedule: Sequence[float], retry_after: float = 0.0
) -> float | None:
    """Return when to try next, in unix seconds, or None when the schedule is through and the event is a dead
    letter.

    Args:
        attempts: how many were made.
        now: unix seconds.
        rng: where the jitter comes from.
        schedule: seconds before each attempt.
        retry_after: the receiver's own wish in seconds; never sooner than that.
    """
    if attempts >= len(schedule):
        return None
    wait = schedule[attempts]
    wait += wait * JITTER * rng.random()
    return now + max(wait, min(retry_after, LONGEST_RETRY_AFTER_SECONDS))


def read_retry_after(header: str | None, now: float) -> float:
    """Return the seconds that a `Retry-After` header asks for (RFC 9110, section 10.2.3); 0 if there is none
    to be read.
    """
    if not header:
        return 0.0
    header = header.strip()
    if header.isascii() and header.isdigit():
        return float(header[:9])
    try:
        moment = parsedate_to_datetime(header)
    except (ValueError, TypeError, OverflowError):
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - datetime.fromtimestamp(now, UTC).timestamp())
