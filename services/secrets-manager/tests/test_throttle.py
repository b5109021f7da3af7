from secrets_manager.throttle import FailureThrottle


def test_some_failures_are_let_through_and_then_one_every_few_seconds():
    throttle = FailureThrottle(burst=3, seconds_each=6)
    assert [throttle.failed("a", 0).retry_after for _ in range(4)] == [0, 0, 0, 6]
    assert throttle.failed("a", 3).retry_after == 3
    assert throttle.failed("a", 6).retry_after == 0


def test_one_address_does_not_slow_another():
    throttle = FailureThrottle(burst=1, seconds_each=6)
    throttle.failed("a", 0)
    assert throttle.failed("a", 0).retry_after > 0
    assert throttle.failed("b", 0).retry_after == 0


def test_a_flood_is_reported_together_when_it_is_over():
    throttle = FailureThrottle(burst=2, seconds_each=6)
    assert sum(throttle.failed("a", 0).report for _ in range(1000)) == 2
    assert throttle.failed("a", 6).report == 999


def test_memory_is_bounded():
    throttle = FailureThrottle(capacity=100)
    for number in range(10_000):
        throttle.failed(str(number), 0)
    assert len(throttle._buckets) == 100


def test_ten_thousand_failures_are_a_handful_of_reports_from_one_address_and_from_many():
    throttle = FailureThrottle()
    verdicts = [throttle.failed("a", number / 1000) for number in range(10_000)]
    assert sum(verdict.report > 0 for verdict in verdicts) == 11  # the burst, and one in ten seconds
    assert sum(verdict.report for verdict in verdicts) + throttle.failed("a", 1e6).report == 10_001
    many = FailureThrottle()
    verdicts = [many.failed(f"10.0.0.{number % 20}", number / 1000) for number in range(10_000)]
    assert sum(verdict.report > 0 for verdict in verdicts) == 20 * 11
