"""Moments as people read and write them. Pure: the present is passed in."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

_AGO = re.compile(r"(\d+)\s*([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def of(value: Any) -> datetime | None:
    """Return a moment (unix seconds, or RFC 3339) in local time; None for nothing."""
    if value in (None, ""):
        return None
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC).astimezone()
    return datetime.fromisoformat(str(value)).astimezone()


def shown(value: Any, now: datetime) -> str:
    """Return a moment as short as it can be told: the time of today, the day of any other."""
    then = of(value)
    if then is None:
        return ""
    same_day = then.date() == now.astimezone().date()
    return then.strftime("%H:%M:%S" if same_day else "%Y-%m-%d %H:%M")


def span(seconds: float) -> str:
    """Return how long something takes, as people say it."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = round(whole / 60)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours} h {minutes} min" if minutes else f"{hours} h") if hours else f"{minutes} min"


def parse(raw: str, now: datetime) -> datetime:
    """Read a moment: `2026-01-31T12:00:00Z`, `2026-01-31 12:00` in local time, or `30m`, `2h`, `7d` ago.

    Raises:
        ValueError: it is none of these.
    """
    if ago := _AGO.fullmatch(raw.strip()):
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    then = datetime.fromisoformat(raw.strip())
    return then if then.tzinfo else then.astimezone()
