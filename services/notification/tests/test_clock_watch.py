import time
from typing import Any

import pytest
import time_machine
from fountain_common.testing import wait_until
from notification.clock_watch import ClockWatch


def test_a_clock_that_goes_along_was_not_set_back() -> None:
    watch = ClockWatch()
    assert [watch.set_back_by(1000.0 + passed, passed) for passed in (0.0, 1.0, 90.0)] == [0, 0, 0]
    assert watch.set_back_by(1000.0 + 91 - 1.5, 91.0) == 0


def test_a_clock_that_was_set_back_is_noticed_once() -> None:
    watch = ClockWatch()
    watch.set_back_by(9000.0, 5.0)
    assert watch.set_back_by(5401.0, 6.0) == 3600
    assert watch.set_back_by(5402.0, 7.0) == 0


def test_a_clock_that_was_set_forward_needs_nothing() -> None:
    watch = ClockWatch()
    watch.set_back_by(1000.0, 5.0)
    assert watch.set_back_by(4601.0, 6.0) == 0


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_set_by_an_hour_holds_up_no_delivery(start: Any, receiver: Any, hours: int) -> None:
    well = False
    receiver.answer = lambda headers, body: 200 if well else 503
    running = start()
    running.subscribe(callback_url=receiver.url, schedule_seconds=[0.0] + [1.0] * 15)
    for number in range(6):
        running.publish("order.placed", f"s{number}")

    def written_down() -> int:
        return sum(len(delivery["attempts"]) for delivery in running.deliveries())

    wait_until(lambda: written_down() >= 6, "enough has failed for the circuit to be open")
    with time_machine.travel(time.time() + hours * 3600, tick=True):
        well = True
        running.publish("order.placed", "afterwards")
        wait_until(lambda: len(running.deliveries(status="delivered")) == 7, "all is delivered", 15)
        stamped = int(receiver.requests[-1][0]["webhook-timestamp"])
        assert abs(stamped - time.time()) < 60
