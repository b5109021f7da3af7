"""How subscriptions are disabled and enabled again, and who hears of it and of what was missed."""

from typing import Any

import pytest
from fountain_common.testing import wait_until


def test_410_ends_the_subscription_and_everybody_is_told(start: Any, receiver: Any, listen: Any) -> None:
    running = start()
    receiver.answer = lambda headers, body: 410
    running.subscribe(callback_url=receiver.url)
    stream = listen(running, "subscription.*")
    running.publish("order.placed")
    [(_, _, event)] = stream.wait_for(1)
    assert (event["type"], event["subject"], event["source"]) == (
        "subscription.disabled",
        "hook",
        "notification",
    )
    with running.client() as client:
        found = client.get("/subscriptions/hook").json()
    assert found["enabled"] is False
    assert "410" in found["disabled_reason"]


def test_nothing_but_failures_for_too_long_disables(start: Any, receiver: Any, listen: Any) -> None:
    running = start(disable_after_seconds=0.1)
    receiver.answer = lambda headers, body: 500
    stream = listen(running, "subscription.disabled")
    running.subscribe(callback_url=receiver.url, schedule_seconds=[0, 0.2, 0.2])
    running.publish("order.placed")
    assert stream.wait_for(1)[0][2]["data"]["name"] == "hook"


def test_put_enables_again_and_goes_on_where_it_was(start: Any, receiver: Any) -> None:
    running = start()
    receiver.answer = lambda headers, body: 410
    running.subscribe(callback_url=receiver.url)
    running.publish("order.placed", "a")
    with running.client() as client:
        wait_until(lambda: not client.get("/subscriptions/hook").json()["enabled"], "it is disabled")
    missed = running.publish("order.placed", "b")
    receiver.answer = lambda headers, body: 200
    assert running.subscribe(callback_url=receiver.url)["signing_secret"] is None
    wait_until(lambda: running.deliveries(status="delivered"), "the one that it missed")
    assert running.deliveries(status="delivered")[0]["event_id"] == missed["id"]


def test_that_it_was_disabled_is_told_though_its_secret_is_replaced_or_it_is_changed_before(
    start: Any, receiver: Any, listen: Any
) -> None:
    running = start()
    for name in ("rotated", "changed", "enabled"):
        running.subscribe(name, callback_url=receiver.url)
    with running.board.database.engine.begin() as connection:
        # As it is when the service is killed before it has told anybody.
        connection.exec_driver_sql(
            "UPDATE subscriptions SET enabled = 0, announced = 0, disabled_at = 7, disabled_reason = 'Why'"
        )
    with running.client() as client:
        assert client.post("/subscriptions/rotated/secret/rotate").status_code == 200
    running.subscribe("changed", callback_url=receiver.url, enabled=False)
    running.subscribe("enabled", callback_url=receiver.url)
    running.stop()
    again = start(running.world)
    stream = listen(again, "subscription.*", after=f"{again.board.log.epoch}-0")
    told = {event["subject"]: event["data"]["reason"] for _, _, event in stream.wait_for(2)}
    assert told == {"rotated": "Why", "changed": "Why"}
    again.stop()
    last = start(running.world)
    with last.client() as client:
        assert len(client.get("/notifications?type=subscription.*").json()["items"]) == 2


@pytest.mark.parametrize("more", [0, 1])
def test_what_retention_removed_while_it_was_disabled_is_told_when_it_is_enabled_again(
    start: Any, receiver: Any, capsys: pytest.CaptureFixture[str], more: int
) -> None:
    running = start(retention=">=0s", retained_per_type=0, retention_interval_seconds=0.1)
    receiver.answer = lambda headers, body: 500
    wish = {"callback_url": receiver.url, "schedule_seconds": [0, 1000]}
    running.subscribe(**wish)
    events = [running.publish("order.placed", "waits")]
    wait_until(lambda: running.deliveries() and running.deliveries()[0]["attempts"], "it is tried")
    running.subscribe(**wish, enabled=False)
    events += [running.publish("order.placed", "comes") for _ in range(more)]
    with running.client() as client:
        for event in events:
            path = f"/notifications/{event['id']}"
            wait_until(lambda path=path: client.get(path).status_code == 404, "it is removed")
        assert running.subscribe(**wish)["missed_through"] == events[-1]["position"]
        assert client.get("/subscriptions/hook").json()["missed_through"] == events[-1]["position"]
        metrics = client.get("/metrics").text
    assert [delivery["status"] for delivery in running.deliveries()] == ["dropped"]
    assert "fountain_notification_deliveries_missed_total 1.0" in metrics
    assert "subscription_missed_events" in capsys.readouterr().out


def test_what_was_had_before_it_was_disabled_is_not_missed(
    start: Any, receiver: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    running = start(retention=">=0s", retained_per_type=0, retention_interval_seconds=0.1)
    running.subscribe(callback_url=receiver.url)
    event = running.publish("order.placed")
    wait_until(lambda: running.deliveries(status="delivered"), "it is delivered")
    running.subscribe(callback_url=receiver.url, enabled=False)
    with running.client() as client:
        path = f"/notifications/{event['id']}"
        wait_until(lambda: client.get(path).status_code == 404, "it is removed")
        assert running.subscribe(callback_url=receiver.url)["missed_through"] == 0
        assert "fountain_notification_deliveries_missed_total 0.0" in client.get("/metrics").text
    assert "subscription_missed_events" not in capsys.readouterr().out
