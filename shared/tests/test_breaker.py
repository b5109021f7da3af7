"""A circuit breaker."""

import pytest
from fountain_common.breaker import Breaker


def broken(failures: int = 5) -> Breaker:
    breaker = Breaker()
    for _ in range(failures):
        breaker.failed(100.0)
    return breaker


def test_a_few_failures_are_tolerated() -> None:
    assert broken(4).allows(100.0)


def test_five_in_a_row_give_it_a_rest() -> None:
    assert not broken().allows(100.4)


def test_after_the_rest_one_may_try_and_the_others_wait() -> None:
    breaker = broken()
    assert breaker.allows(100.6)
    assert not breaker.allows(100.6)


def tried(times: int) -> tuple[Breaker, float]:
    """One whose trials have failed so often, each at once; and when the last one did."""
    breaker, now = broken(), 100.0
    for _ in range(times):
        now = breaker.open_until
        assert breaker.allows(now)
        breaker.failed(now)
    return breaker, now


@pytest.mark.parametrize(("trials", "rest"), [(0, 0.5), (1, 1.0), (2, 2.0), (9, 15.0), (50, 15.0)])
def test_each_failed_trial_doubles_the_rest_up_to_a_limit(trials: int, rest: float) -> None:
    breaker, now = tried(trials)
    assert not breaker.allows(now + rest - 0.01)
    assert breaker.allows(now + rest)


def test_what_was_under_way_when_it_opened_and_fails_then_makes_no_rest_longer() -> None:
    assert broken(50).allows(100.5)
    breaker, now = tried(1)
    for _ in range(50):
        breaker.failed(now + 0.5)
    assert breaker.allows(now + 1.0)


def test_a_trial_of_which_nothing_is_heard_is_followed_by_another() -> None:
    breaker = broken()
    assert breaker.allows(100.5)
    assert breaker.allows(101.0)


def test_one_success_closes_the_circuit() -> None:
    breaker = broken(9)
    breaker.succeeded()
    assert breaker.allows(100.0)
    assert breaker == Breaker()
