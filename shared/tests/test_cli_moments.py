"""Moments as people read and write them."""

from datetime import UTC, datetime, timedelta

import pytest
from fountain_cli import moments

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("raw", "ago"),
    [("30m", timedelta(minutes=30)), ("2h", timedelta(hours=2)), ("7 d", timedelta(days=7))],
)
def test_how_long_ago_is_counted_from_now(raw: str, ago: timedelta) -> None:
    assert moments.parse(raw, NOW) == NOW - ago


def test_a_moment_without_a_zone_is_local_and_one_with_it_is_kept() -> None:
    assert moments.parse("2026-01-31T11:00:00Z", NOW) == NOW - timedelta(hours=1)
    assert moments.parse("2026-01-31 11:00", NOW) == datetime(2026, 1, 31, 11, 0).astimezone()


@pytest.mark.parametrize("raw", ["yesterday", "", "2 weeks", "2026-13-01"])
def test_what_is_no_moment_is_refused(raw: str) -> None:
    with pytest.raises(ValueError, match=r"Invalid isoformat|month must be"):
        moments.parse(raw, NOW)


def test_today_is_told_by_its_time_and_other_days_by_their_date() -> None:
    now = NOW.astimezone()
    assert moments.shown(now.timestamp(), now) == now.strftime("%H:%M:%S")
    assert moments.shown((now - timedelta(days=40)).isoformat(), now).startswith("2025-12-2")
    assert moments.shown(None, now) == ""
