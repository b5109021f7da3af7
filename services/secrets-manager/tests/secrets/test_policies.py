"""When a policy asks for a rotation, and what a clock that was set wrong does to that."""

import pytest
from secrets_manager.policies import InvalidPolicyError, Policy, check, due, mended, next_after

DAY = 86400.0
NOON = 1_790_000_000.0 // DAY * DAY + DAY / 2
DAILY, HOURLY = Policy(cron="0 3 * * *"), Policy(interval_seconds=3600)


def test_the_next_moment_lies_behind_and_is_read_in_utc() -> None:
    assert next_after(DAILY, NOON) == NOON + DAY * 15 / 24
    assert next_after(HOURLY, NOON) == NOON + 3600
    assert next_after(Policy(), NOON) is None


def test_moments_that_were_missed_count_once() -> None:
    assert due(NOON - 10 * DAY, NOON)
    assert not due(next_after(DAILY, NOON), NOON)


@pytest.mark.parametrize(
    "policy",
    [
        Policy(cron="0 3 * * *", interval_seconds=60),
        Policy(interval_seconds=59),
        Policy(cron="* * * * * *"),
        Policy(cron="0 0 31 2 *"),
        Policy(cron="soon"),
        Policy(interval_seconds=60, overlap_seconds=32 * 60 + 1),
        Policy(cron="* * * * *", overlap_seconds=3600),
        Policy(cron="* 3 * * 0", overlap_seconds=3600),
        Policy(cron="0 * * * *", overlap_seconds=2 * DAY),
        Policy(cron="* * 29 2 *", overlap_seconds=7200),
        Policy(cron="* * * 2 thu#5", overlap_seconds=7200),  # such a day comes once in 28 years
        Policy(cron="0 0 * 1,3,5,7,9,11,12 *", overlap_seconds=40 * DAY),
        Policy(cron="40-59 23 * * *", overlap_seconds=2 * DAY),
        Policy(cron="0,59 0,23 * * 1,4", overlap_seconds=28 * DAY + 1),
        Policy(interval_seconds=967_680, overlap_seconds=366 * DAY),
    ],
)
def test_a_schedule_that_cannot_be_kept_is_refused(policy: Policy) -> None:
    with pytest.raises(InvalidPolicyError):
        check(policy)


@pytest.mark.parametrize(
    "policy",
    [
        Policy(),
        Policy(overlap_seconds=30 * DAY),
        Policy(interval_seconds=60, overlap_seconds=32 * 60),
        Policy(cron="0 3 * * *", overlap_seconds=32 * DAY),
        Policy(cron="0 0 29 2 *", overlap_seconds=30 * DAY),
        Policy(cron="0 0 * 1,3,5,7,9,11,12 *", overlap_seconds=32 * DAY),
        Policy(cron="40-59 23 * * *", overlap_seconds=DAY),
        Policy(cron="* * * * *", overlap_seconds=32 * 60),
        Policy(cron="0,59 0,23 * * 1,4", overlap_seconds=28 * DAY),
        Policy(cron="0 3 * mar thu#1", overlap_seconds=30 * DAY),
        Policy(interval_seconds=988_200, overlap_seconds=366 * DAY),
    ],
)
def test_one_whose_versions_have_drained_before_too_many_do_is_taken(policy: Policy) -> None:
    check(policy)


@pytest.mark.parametrize("cron", ["R * * * *", "0 r(1-3) * * *", "0 0 * * 1,R", "H 3 * * *", "h/5 3 * * *"])
def test_a_letter_that_stands_for_any_moment_is_refused(cron: str) -> None:
    with pytest.raises(InvalidPolicyError, match="another moment each time"):
        check(Policy(cron=cron))


@pytest.mark.parametrize("policy", [DAILY, HOURLY], ids=["cron", "interval"])
def test_what_a_clock_far_ahead_put_off_is_brought_forward(policy: Policy) -> None:
    ahead = next_after(policy, NOON + 365 * DAY)
    assert mended(policy, ahead, NOON) == next_after(policy, NOON)


@pytest.mark.parametrize("policy", [DAILY, HOURLY], ids=["cron", "interval"])
def test_what_was_rotated_a_little_early_is_not_rotated_twice(policy: Policy) -> None:
    soon = next_after(policy, NOON)
    assert soon is not None
    rotated_early = next_after(policy, soon)
    assert mended(policy, rotated_early, soon - 600) == rotated_early
    assert mended(policy, soon, NOON) == soon
    assert mended(Policy(), None, NOON) is None
