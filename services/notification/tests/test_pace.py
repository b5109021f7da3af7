"""How fast is cleared away."""

from hypothesis import given
from hypothesis import strategies as st
from notification.pace import LARGEST, LONGEST_SECONDS, REST, SMALLEST, Pace


@given(st.floats(1e-5, 1e-2), st.integers(30, 60))
def test_portions_come_to_take_a_short_moment_whatever_a_row_costs(row_seconds: float, portions: int) -> None:
    pace = Pace()
    for _ in range(portions):
        pace.rest(pace.portion * row_seconds)
    took = pace.portion * row_seconds
    assert took <= 2 * LONGEST_SECONDS or pace.portion == SMALLEST
    assert took >= LONGEST_SECONDS / 4 or pace.portion == LARGEST


def test_most_of_the_time_is_left_to_others() -> None:
    assert Pace().rest(0.3) == REST * 0.3 > 0.3
