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


def test_what_no_report_stands_for_is_told_once_the_address_is_silent():
    throttle = FailureThrottle(burst=2, seconds_each=6)
    for _ in range(1000):
        throttle.failed("a", 0)
    throttle.failed("b", 1)
    assert throttle.unreported(5.9) == []
    assert throttle.unreported(6) == [("a", 998)]
    throttle.failed("a", 6.5)
    assert throttle.unreported(7) == []
    assert throttle.unreported(7, silent_seconds=0) == []
    throttle.failed("c", 7)
    throttle.failed("c", 7)
    throttle.failed("c", 7)
    assert throttle.unreported(7, silent_seconds=0) == [("c", 1)]
    throttle.reported("c", 1)
    assert throttle.unreported(100) == []


def test_what_comes_while_it_is_written_down_is_not_lost():
    throttle = FailureThrottle(burst=1, seconds_each=6)
    for _ in range(5):
        throttle.failed("a", 0)
    [(address, failures)] = throttle.unreported(6)
    throttle.failed("a", 6)  # allowed again, and told with those before
    for _ in range(3):
        throttle.failed("a", 6)
    throttle.reported(address, failures)
    assert (failures, throttle.unreported(50)) == (4, [])


def test_the_failures_of_addresses_that_are_forgotten_are_told_together():
    throttle = FailureThrottle(burst=1, capacity=10)
    for number in range(100):
        for _ in range(3):
            throttle.failed(str(number), number)
    told = dict(throttle.unreported(1e6))
    assert told[""] == 90 * 2
    assert sum(told.values()) == 100 * 2
    throttle.reported("", told[""])
    assert "" not in dict(throttle.unreported(1e6))
