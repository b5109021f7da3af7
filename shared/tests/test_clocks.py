"""What the time that another machine tells says about the clock here."""

import pytest
from fountain_common.clocks import ClockAgreement
from fountain_common.testing import FakeClock
from hypothesis import given
from hypothesis import strategies as st


def _asked(ahead: float, takes: float = 0.0, moment: float = 1_000_000.0) -> ClockAgreement:
    """A clock that is so far ahead asks one that is right; the answer leaves half way."""
    clock = FakeClock(moment + ahead)
    agreement = ClockAgreement(clock)
    asked_at = clock()
    clock.advance(takes)
    agreement.heard(float(int(moment + takes / 2)), asked_at)
    return agreement


@given(st.floats(0, 60), st.floats(1e6, 2e9))
def test_clocks_that_are_right_agree_however_long_an_answer_takes(takes: float, moment: float) -> None:
    assert _asked(0, takes, moment).within(1e-3)


@given(st.floats(-86400, 86400), st.floats(0, 20))
def test_a_difference_is_told_as_far_as_the_answer_s_way_allows(ahead: float, takes: float) -> None:
    agreement = _asked(ahead, takes)
    assert agreement.within(abs(ahead) + 1)
    if abs(ahead) > takes + 2:
        assert not agreement.within(abs(ahead) - takes - 2)


def test_who_has_heard_nothing_does_not_complain() -> None:
    assert ClockAgreement(FakeClock()).within(0)


@pytest.mark.parametrize(
    ("ahead", "sentence"), [(3601, "is 3600 seconds ahead of that of"), (-90, "is 90 seconds behind that of")]
)
def test_it_says_who_is_behind(ahead: float, sentence: str) -> None:
    assert f"The clock of orders {sentence} the Secrets Manager" in _asked(ahead).said(
        "orders", "the Secrets Manager"
    )
