"""Waiting times do not depend on a clock that somebody sets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from secrets_manager.steady import RATE, SteadyClock

HOUR = 3600.0


class Times:
    """A wall clock and a monotonic one, both of which a test moves."""

    def __init__(self) -> None:
        self.wall, self.monotonic = 1.8e9, 5.0
        self.steady = SteadyClock(lambda: self.wall, lambda: self.monotonic)

    def sleep(self, seconds: float) -> float:
        self.wall += seconds
        self.monotonic += seconds
        return self.steady()


def test_it_is_the_wall_clock_while_nobody_sets_that() -> None:
    times = Times()
    for _ in range(1000):
        times.sleep(0.7)
    assert times.steady() == pytest.approx(times.wall, abs=1e-3)


@pytest.mark.parametrize("jump", [HOUR, -HOUR, 40 * 365 * 24 * HOUR, -1e9])
def test_a_jump_of_the_wall_clock_hardly_changes_what_passes(jump: float) -> None:
    times = Times()
    before = times.steady()
    times.wall += jump
    assert times.steady() == before
    passed = times.sleep(900) - before
    assert 900 * (1 - RATE) - 1e-3 <= passed <= 900 * (1 + RATE) + 1e-3


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_it_finds_back_to_the_wall_clock(jump: float) -> None:
    times = Times()
    times.wall += jump
    for _ in range(int(abs(jump) / RATE / 60) + 2):
        times.sleep(60)
    assert times.steady() == pytest.approx(times.wall, abs=0.1)


@given(st.lists(st.tuples(st.floats(0, 1e4), st.floats(-1e6, 1e6)), max_size=50))
def test_it_never_goes_back_and_never_runs_away(steps: list[tuple[float, float]]) -> None:
    times = Times()
    last = times.steady()
    for seconds, jump in steps:
        times.wall += jump
        now = times.sleep(seconds)
        assert now >= last
        assert abs(now - last - seconds) <= RATE * seconds + 1e-3
        last = now
