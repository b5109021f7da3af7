"""What is counted, as Prometheus reads it, and as the rules ask for it."""

import re
import time
from pathlib import Path
from typing import Any

from fountain_common.testing import wait_until
from prometheus_client.parser import text_string_to_metric_families

RULES = Path(__file__).parents[3] / "observability" / "rules.yml"


def read(running: Any) -> dict[tuple[str, str], float]:
    """Return the samples, by name and the value of their first label."""
    with running.client() as client:
        text = client.get("/metrics").text
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_queues_of_all_subscriptions_are_measured(
    start: Any, receiver: Any, receivers: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("notification.housekeeping.MEASURE_SECONDS", 0.05)
    running = start()
    receiver.answer = lambda headers, body: 500
    gone = receivers()
    gone.answer = lambda headers, body: 410 if b"last" in body else 500
    running.subscribe("waits", callback_url=receiver.url, schedule_seconds=[0, 1000])
    running.subscribe("dead", callback_url=receiver.url, schedule_seconds=[0])
    running.subscribe("off", callback_url=gone.url, schedule_seconds=[0, 1000])
    running.subscribe("idle", callback_url=receiver.url, types=["nothing.*"])
    began = time.time()
    attempts = "fountain_notification_delivery_attempts_total"
    for subject in ("a", "b"):
        running.publish("order.placed", subject)
    wait_until(lambda: read(running).get((attempts, "failed")) == 4, "what fails has failed")
    running.publish("order.placed", "last")

    def measured() -> dict[str, tuple[float, float]]:
        found = read(running)
        names = ("waits", "dead", "off", "idle")
        return {
            name: (
                found.get(("fountain_notification_queue_depth", name), -1),
                found.get(("fountain_notification_dead_letters", name), -1),
            )
            for name in names
        }

    expected = {"waits": (3, 0), "dead": (0, 3), "off": (2, 1), "idle": (0, 0)}
    wait_until(lambda: measured() == expected, "the queues are measured")
    time_since = time.time() - began
    found = read(running)
    oldest = {name: found["fountain_notification_oldest_undelivered_seconds", name] for name in expected}
    assert 0 < oldest.pop("waits") <= time_since + 1
    assert set(oldest.values()) == {0}
    assert (found[attempts, "failed"], found[attempts, "dead"]) == (5, 4)
    with running.client() as client:
        client.delete("/subscriptions/dead")
    wait_until(lambda: measured()["dead"] == (-1, -1), "it is measured no more")


def test_what_reaches_streams_and_how_soon_is_counted(start: Any, listen: Any) -> None:
    running = start()
    before = read(running)
    stream = listen(running, "order.*")
    for _ in range(3):
        running.publish("order.placed")
    stream.wait_for(3)
    after = read(running)
    assert after["fountain_notification_streams", ""] == before["fountain_notification_streams", ""] + 1
    published = "fountain_notification_published_total"
    assert after[published, ""] - before.get((published, ""), 0) == 3
    count, total = "fountain_notification_receipt_seconds_count", "fountain_notification_receipt_seconds_sum"
    assert 1 <= after[count, ""] - before[count, ""] <= 3
    assert 0 < after[total, ""] - before[total, ""] < 5


def test_the_rules_ask_for_what_there_is(start: Any) -> None:
    running = start()
    with running.client() as client:
        text = client.get("/metrics").text
    asked = set(re.findall(r"fountain_notification_\w+", RULES.read_text()))
    assert asked
    assert {name for name in asked if f"# TYPE {name} " not in text} == set()
