"""When a delivery is tried again."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notification.schedule import JITTER, next_attempt, parse_schedule, read_retry_after

SCHEDULE = parse_schedule("0,5s,5m,30m,2h,5h,10h,14h,20h,24h")


def test_the_schedule_is_that_of_the_design() -> None:
    assert SCHEDULE == (0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)


@given(attempts=st.integers(0, 9), now=st.floats(0, 4e9), seed=st.integers())
def test_each_attempt_comes_at_its_time_and_little_later(attempts: int, now: float, seed: int) -> None:
    at = next_attempt(attempts, now, random.Random(seed), SCHEDULE)
    assert at is not None
    assert SCHEDULE[attempts] - 1e-3 <= at - now <= SCHEDULE[attempts] * (1 + JITTER) + 1e-3


def test_behind_the_last_attempt_there_is_none() -> None:
    assert next_attempt(len(SCHEDULE), 0, random.Random(), SCHEDULE) is None


def test_a_receivers_wish_is_honoured_up_to_a_day() -> None:
    assert next_attempt(1, 100, random.Random(), SCHEDULE, retry_after=60) == 160
    assert next_attempt(1, 0, random.Random(), SCHEDULE, retry_after=10**9) == 86400
    later = next_attempt(2, 0, random.Random(), SCHEDULE, retry_after=1)
    assert later is not None
    assert later >= 300


def test_retry_after_is_read_in_both_forms() -> None:
    assert read_retry_after("120", 0) == 120
    assert read_retry_after("Thu, 01 Jan 1970 00:01:40 GMT", 40) == 60
    assert read_retry_after("Thu, 01 Jan 1970 00:00:10 GMT", 40) == 0
    assert read_retry_after("soon", 0) == read_retry_after(None, 0) == read_retry_after("-5", 0) == 0


@pytest.mark.parametrize(
    "header",
    [
        "Mon, 1 Jan 99999999999 00:00:00 GMT",
        "Mon, 1 Jan 2030 00:00:00 +99999999999999999999",
        "Mon, 1 Jan 2030 99:99:99 GMT",
        "9" * 400,
        "²",
        "1e9",
        ", ,",
        "\udcff",
    ],
)
def test_a_retry_after_that_no_calendar_knows_puts_nothing_off_for_ever(header: str) -> None:
    assert 0 <= read_retry_after(header, 1e9) < 1e9


@given(header=st.text(max_size=80))
def test_whatever_a_receiver_writes_there_can_be_read(header: str) -> None:
    assert read_retry_after(header, 1e9) >= 0


@pytest.mark.parametrize("raw", ["", ",", "5x", "-1", "1e3"])
def test_what_is_no_schedule_is_refused(raw: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_schedule(raw)
