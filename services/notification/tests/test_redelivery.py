"""What is delivered again: replays of a subscription, and one delivery that is asked for."""

import threading
from typing import Any

import pytest
from fountain_common.testing import wait_until


def test_replay_counts_first_and_then_delivers_again_in_order(start: Any, receiver: Any) -> None:
    running = start()
    running.subscribe(callback_url=receiver.url)
    events = [running.publish("order.placed", "same", number) for number in range(4)]
    wait_until(lambda: len(running.deliveries(status="delivered")) == 4, "all are delivered")
    with running.client() as client:
        wish = {"after": events[1]["position"], "dry_run": True}
        assert client.post("/subscriptions/hook/replay", json=wish).json() == {"count": 2, "dry_run": True}
        assert len(receiver.requests) == 4
        assert client.post("/subscriptions/hook/replay", json={**wish, "dry_run": False}).json()["count"] == 2
        wait_until(lambda: len(receiver.requests) == 6, "two come again")
        assert (
            client.post(
                "/subscriptions/hook/replay", json={"since": events[0]["time"], "dry_run": True}
            ).json()["count"]
            == 4
        )
        assert client.post("/subscriptions/hook/replay", json={"dry_run": True}).status_code == 400
    assert [event["data"] for event in receiver.events[4:]] == [2, 3]
    ids = [headers["webhook-id"] for headers, _ in receiver.requests]
    assert ids[4:] == ids[2:4]


@pytest.mark.parametrize("how", ["replay", "redeliver"])
def test_what_is_to_be_delivered_again_is_not_undone_by_an_attempt_under_way(
    start: Any, receiver: Any, how: str
) -> None:
    running = start()
    under_way, answered = threading.Event(), threading.Event()

    def refuse_at_last(_headers: dict[str, str], _body: bytes) -> int:
        under_way.set()
        answered.wait()
        return 500

    receiver.answer = refuse_at_last
    running.subscribe(callback_url=receiver.url, schedule_seconds=[0], timeout_seconds=60)
    event = running.publish("order.placed")
    assert under_way.wait(10)
    with running.client() as client:
        if how == "replay":
            wish = {"after": event["position"] - 1}
            assert client.post("/subscriptions/hook/replay", json=wish).json()["count"] == 1
        else:
            [delivery] = running.deliveries()
            assert client.post(f"/deliveries/{delivery['id']}/redeliver").status_code == 202
    receiver.answer = lambda headers, body: 200
    answered.set()
    wait_until(lambda: len(receiver.requests) == 2, "it is sent again")
    wait_until(lambda: running.deliveries(status="delivered"), "it is delivered")
    [delivery] = running.deliveries()
    assert [attempt["status_code"] for attempt in delivery["attempts"]] == [500, 200]


def test_dead_letters_are_replayed_and_one_can_be_delivered_again(start: Any, receiver: Any) -> None:
    running = start()
    receiver.answer = lambda headers, body: 500
    running.subscribe(callback_url=receiver.url)
    for number in range(3):
        running.publish("order.placed", f"s{number}")
    wait_until(lambda: len(running.deliveries(status="dead")) == 3, "all are given up")
    receiver.answer = lambda headers, body: 200
    with running.client() as client:
        one = running.deliveries()[0]["id"]
        assert client.post(f"/deliveries/{one}/redeliver").status_code == 202
        wait_until(lambda: len(running.deliveries(status="delivered")) == 1, "the one")
        assert client.post("/subscriptions/hook/replay", json={"missing": True}).json()["count"] == 2
    wait_until(lambda: len(running.deliveries(status="delivered")) == 3, "the others")


def test_what_retention_has_removed_cannot_be_delivered_again(start: Any, receiver: Any) -> None:
    running = start(retention=">=0s", retained_per_type=0, retention_interval_seconds=0.1)
    running.subscribe(callback_url=receiver.url)
    event = running.publish("order.placed")
    wait_until(lambda: running.deliveries(status="delivered"), "it is delivered")
    with running.client() as client:
        path = f"/notifications/{event['id']}"
        wait_until(lambda: client.get(path).status_code == 404, "it is removed")
        delivery = running.deliveries()[0]["id"]
        assert client.post(f"/deliveries/{delivery}/redeliver").status_code == 409
        assert client.post("/deliveries/999999/redeliver").status_code == 404
        assert client.post("/deliveries/x/redeliver").status_code == 400
