from hypothesis import given
from hypothesis import strategies as st
from two_factor.lockout import CLOCKS_DIFFER_SECONDS, FREE_FAILURES, LONGEST_LOCK_SECONDS, Lockout


def failed(times: int, now: float = 0.0) -> Lockout:
    state = Lockout()
    for _ in range(times):
        state = state.after_failure(now)
    return state


def test_a_slip_or_two_locks_nobody() -> None:
    assert failed(FREE_FAILURES - 1).remaining(0.0) == 0


@given(st.integers(FREE_FAILURES, 500))
def test_each_further_failure_locks_at_least_as_long_and_never_beyond_the_limit(times: int) -> None:
    shorter, longer = failed(times).remaining(0.0), failed(times + 1).remaining(0.0)
    assert 0 < shorter <= longer <= LONGEST_LOCK_SECONDS


def test_a_lock_ends() -> None:
    locked = failed(FREE_FAILURES, now=100.0)
    assert locked.remaining(100.0) > 0
    assert locked.remaining(locked.locked_until) == 0


@given(st.integers(FREE_FAILURES, 500), st.floats(1, 86400), st.floats(1.8e9, 1.9e9))
def test_a_lock_that_a_clock_ahead_began_locks_nobody_out_once_it_is_set_back(
    times: int, back: float, now: float
) -> None:
    locked = failed(times, now)
    longest = locked.remaining(now)
    assert longest > 0
    assert locked.remaining(now - CLOCKS_DIFFER_SECONDS + 1) > longest
    assert locked.remaining(now - CLOCKS_DIFFER_SECONDS - back) == 0
    again = locked.after_failure(now - back)
    assert longest <= again.remaining(now - back) <= LONGEST_LOCK_SECONDS
