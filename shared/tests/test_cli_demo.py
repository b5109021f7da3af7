"""What the demo tells: each phase of each instance once, at the moment when it was first seen."""

import httpx2
from fountain_cli.demo.phases import Phases
from fountain_cli.demo.traffic import Traffic
from fountain_cli.stack.waiting import wait_until


def holder(instance: str, accepts: int, uses: int) -> dict[str, object]:
    return {"instance_id": instance, "accepts": accepts, "uses": uses}


def test_a_phase_is_told_once_and_keeps_its_first_moment() -> None:
    phases = Phases(2)
    assert phases.see({"state": "staged", "holders": [holder("a", 1, 1), holder("b", 1, 1)]}, 0.1) == [
        "the rotation is staged"
    ]
    assert phases.see({"state": "staged", "holders": [holder("a", 2, 1), holder("b", 1, 1)]}, 0.2) == [
        "instance a accepts version 2"
    ]
    news = phases.see({"state": "active", "holders": [holder("a", 2, 2), holder("b", 2, 1)]}, 0.3)
    assert news == ["instance a uses version 2", "instance b accepts version 2", "the rotation is active"]
    assert phases.see({"state": "active", "holders": [holder("a", 2, 2), holder("b", 2, 1)]}, 0.4) == []
    assert phases.accepted == {"a": 0.2, "b": 0.3}
    assert phases.states == {"staged": 0.1, "active": 0.3}


def traffic(status: int) -> Traffic:
    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST":
            return httpx2.Response(201, json={"token": "t", "url": "u"})
        return httpx2.Response(status)

    return Traffic(
        lambda: httpx2.Client(base_url="https://test", transport=httpx2.MockTransport(answer)), clients=2
    )


def test_traffic_counts_what_fails() -> None:
    with traffic(410) as count:
        assert wait_until(lambda: count.requests >= 4, 5)
    assert len(count.failures) == count.requests // 2
    assert "410" in count.failures[0]


def test_traffic_that_succeeds_has_no_failures() -> None:
    with traffic(307) as count:
        assert wait_until(lambda: count.requests >= 4, 5)
    assert count.failures == []
