"""A circuit breaker."""

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


def test_each_failed_trial_doubles_the_rest_up_to_a_limit() -> None:
    breaker = broken(6)
    assert not breaker.allows(100.9)
    assert breaker.allows(101.1)
    assert not broken(50).allows(114.0)
    assert broken(50).allows(115.1)


def test_one_success_closes_the_circuit() -> None:
    breaker = broken(9)
    breaker.succeeded()
    assert breaker.allows(100.0)
    assert breaker == Breaker()
