"""Deliveries to webhooks and to services."""

import time
from collections.abc import Callable
from typing import Any

import httpx2
import orjson
import pytest
from fountain_common.testing import World, wait_until
from standardwebhooks import Webhook

FAST = [0, 0.05, 0.1]


def subscribe(running: Any, name: str = "hook", **wish: Any) -> dict[str, Any]:
    body = {"types": ["order.*"], "schedule_seconds": FAST, **wish}
    with running.client() as client:
        response = client.put(f"/subscriptions/{name}", json=body)
    assert response.status_code in (200, 201), response.text
    return response.json()


def deliveries(
    running: Any, name: str = "hook", status: str | None = None, **caller: Any
) -> list[dict[str, Any]]:
    with running.client(**caller) as client:
        response = client.get(
            f"/subscriptions/{name}/deliveries", params={"status": status} if status else None
        )
    assert response.status_code == 200, response.text
    return response.json()["items"]


def test_an_event_is_delivered_signed_and_the_official_library_agrees(start: Any, receiver: Any) -> None:
    running = start()
    put = subscribe(running, callback_url=receiver.url)
    event = running.publish("order.placed", "o1", {"total": 3})
    wait_until(lambda: receiver.requests, "the delivery")
    headers, body = receiver.requests[0]
    assert Webhook(put["signing_secret"]).verify(body, headers)["id"] == event["id"]
    assert orjson.loads(body) == event
    assert headers["content-type"] == "application/cloudevents+json"
    wait_until(lambda: deliveries(running, status="delivered"), "it is written down")
    [attempt] = deliveries(running)[0]["attempts"]
    assert (attempt["status_code"], attempt["error"], attempt["answer"]) == (200, None, "thanks")


def test_while_a_secret_is_replaced_both_sign(start: Any, receiver: Any) -> None:
    running = start()
    old = subscribe(running, callback_url=receiver.url)["signing_secret"]
    with running.client() as client:
        new = client.post("/subscriptions/hook/secret/rotate").json()["signing_secret"]
    running.publish("order.placed")
    wait_until(lambda: receiver.requests, "the delivery")
    headers, body = receiver.requests[0]
    for secret in (old, new):
        Webhook(secret).verify(body, headers)
    assert old != new


def test_what_fails_is_tried_again_with_the_same_id_and_then_given_up(start: Any, receiver: Any) -> None:
    running = start()
    receiver.answer = lambda headers, body: (500, {}, b"x" * 5000)
    subscribe(running, callback_url=receiver.url)
    running.publish("order.placed", "o1")
    running.publish("order.placed", "o2")
    wait_until(lambda: len(deliveries(running, status="dead")) == 2, "both are given up")
    found = deliveries(running)
    assert [len(each["attempts"]) for each in found] == [3, 3]
    assert len(found[0]["attempts"][0]["answer"]) == 2048
    ids = [headers["webhook-id"] for headers, _ in receiver.requests]
    assert len(ids) == 6
    assert len(set(ids)) == 2


def test_events_of_one_subject_come_in_order_though_one_fails_at_first(start: Any, receiver: Any) -> None:
    running = start()
    failed: set[str] = set()

    def answer(headers: dict[str, str], _body: bytes) -> int:
        first = headers["webhook-id"] not in failed
        failed.add(headers["webhook-id"])
        return 500 if first else 200

    receiver.answer = answer
    subscribe(running, callback_url=receiver.url)
    for number in range(5):
        running.publish("order.placed", "same", number)
    wait_until(lambda: len(deliveries(running, status="delivered")) == 5, "all are delivered", 10)
    assert [event["data"] for event in receiver.events] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_after_a_dead_letter_the_next_of_its_subject_goes(start: Any, receiver: Any) -> None:
    running = start()
    receiver.answer = lambda headers, body: 500 if b'"bad"' in body else 200
    subscribe(running, callback_url=receiver.url)
    running.publish("order.placed", "same", "bad")
    good = running.publish("order.placed", "same", "good")
    wait_until(lambda: deliveries(running, status="delivered"), "the second is delivered")
    assert deliveries(running, status="delivered")[0]["event_id"] == good["id"]
    assert len(deliveries(running, status="dead")) == 1


def test_a_dead_receiver_slows_nobody(start: Any, receiver: Any, receivers: Any) -> None:
    running = start(delivery_timeout_seconds=30)
    stuck = receivers()
    stuck.answer = lambda headers, body: time.sleep(30) or 200
    subscribe(running, "stuck", callback_url=stuck.url)
    subscribe(running, callback_url=receiver.url)
    for number in range(30):
        running.publish("order.placed", f"s{number}")
    wait_until(lambda: len(deliveries(running, status="delivered")) == 30, "the other has all", 10)
    assert len(stuck.requests) <= 8


def test_410_ends_the_subscription_and_everybody_is_told(start: Any, receiver: Any, listen: Any) -> None:
    running = start()
    receiver.answer = lambda headers, body: 410
    subscribe(running, callback_url=receiver.url)
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
    subscribe(running, callback_url=receiver.url, schedule_seconds=[0, 0.2, 0.2])
    running.publish("order.placed")
    assert stream.wait_for(1)[0][2]["data"]["name"] == "hook"


def test_put_enables_again_and_goes_on_where_it_was(start: Any, receiver: Any) -> None:
    running = start()
    receiver.answer = lambda headers, body: 410
    subscribe(running, callback_url=receiver.url)
    running.publish("order.placed", "a")
    with running.client() as client:
        wait_until(lambda: not client.get("/subscriptions/hook").json()["enabled"], "it is disabled")
    missed = running.publish("order.placed", "b")
    receiver.answer = lambda headers, body: 200
    assert subscribe(running, callback_url=receiver.url)["signing_secret"] is None
    wait_until(lambda: deliveries(running, status="delivered"), "the one that it missed")
    assert deliveries(running, status="delivered")[0]["event_id"] == missed["id"]


def test_retry_after_is_honoured(start: Any, receiver: Any) -> None:
    running = start()
    times: list[float] = []

    def answer(_headers: dict[str, str], _body: bytes) -> Any:
        times.append(time.monotonic())
        return (503, {"Retry-After": "1"}, b"") if len(times) == 1 else 200

    receiver.answer = answer
    subscribe(running, callback_url=receiver.url)
    running.publish("order.placed")
    wait_until(lambda: len(times) == 2, "the second attempt")
    assert times[1] - times[0] >= 1


def test_a_redirect_is_a_failure_and_nobody_follows_it(start: Any, receiver: Any, receivers: Any) -> None:
    running = start()
    inside = receivers()
    receiver.answer = lambda headers, body: (307, {"Location": inside.url}, b"")
    subscribe(running, callback_url=receiver.url)
    running.publish("order.placed")
    wait_until(lambda: deliveries(running, status="dead"), "it is given up")
    assert "redirects are not followed" in deliveries(running)[0]["attempts"][0]["error"]
    assert not inside.requests


def test_a_receiver_that_does_not_answer_in_time_has_failed(start: Any, receiver: Any) -> None:
    running = start()
    receiver.answer = lambda headers, body: time.sleep(0.6) or 200
    subscribe(running, callback_url=receiver.url, timeout_seconds=0.2, schedule_seconds=[0])
    running.publish("order.placed")
    wait_until(lambda: deliveries(running, status="dead"), "it is given up")
    assert "No answer within 0.2 seconds" in deliveries(running)[0]["attempts"][0]["error"]


def test_a_service_gets_it_with_a_token_for_itself_and_signed(start: Any) -> None:
    world = World()
    came: list[httpx2.Request] = []

    def echo(request: httpx2.Request) -> httpx2.Response:
        came.append(request)
        return httpx2.Response(200, json={"message": "ok"})

    world.serve("echo", echo)
    running = start(world)
    secret = subscribe(running, service="echo")["signing_secret"]
    event = running.publish("order.placed", "o1")
    wait_until(lambda: came, "the delivery")
    [request] = came
    assert request.url.path == "/notifications"
    assert orjson.loads(request.content) == event
    Webhook(secret).verify(request.content, dict(request.headers))
    claims = orjson.loads(_payload(request.headers["authorization"]))
    assert (claims["sub"], claims["aud"]) == ("notification", ["echo"])


def _payload(authorization: str) -> bytes:
    import base64

    part = authorization.split(".")[1]
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_only_the_owner_sees_what_the_receiver_answered(start: Any, receiver: Any) -> None:
    running = start()
    with running.client("olga", ["operator"]) as client:
        body = {"types": ["order.*"], "callback_url": receiver.url}
        assert client.put("/subscriptions/hook", json=body).status_code == 201
    running.publish("order.placed")
    wait_until(lambda: deliveries(running, status="delivered"), "it is delivered")
    assert deliveries(running)[0]["attempts"][0]["answer"] is None
    assert deliveries(running, subject="olga", roles=["operator"])[0]["attempts"][0]["answer"] == "thanks"


def test_replay_counts_first_and_then_delivers_again_in_order(start: Any, receiver: Any) -> None:
    running = start()
    subscribe(running, callback_url=receiver.url)
    events = [running.publish("order.placed", "same", number) for number in range(4)]
    wait_until(lambda: len(deliveries(running, status="delivered")) == 4, "all are delivered")
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


def test_dead_letters_are_replayed_and_one_can_be_delivered_again(start: Any, receiver: Any) -> None:
    running = start()
    receiver.answer = lambda headers, body: 500
    subscribe(running, callback_url=receiver.url)
    for number in range(3):
        running.publish("order.placed", f"s{number}")
    wait_until(lambda: len(deliveries(running, status="dead")) == 3, "all are given up")
    receiver.answer = lambda headers, body: 200
    with running.client() as client:
        one = deliveries(running)[0]["id"]
        assert client.post(f"/deliveries/{one}/redeliver").status_code == 202
        wait_until(lambda: len(deliveries(running, status="delivered")) == 1, "the one")
        assert client.post("/subscriptions/hook/replay", json={"missing": True}).json()["count"] == 2
    wait_until(lambda: len(deliveries(running, status="delivered")) == 3, "the others")


def test_an_event_for_one_identity_goes_to_no_other_subscription(start: Any, receiver: Any) -> None:
    running = start()
    subscribe(running, types=[">"], callback_url=receiver.url)
    running.publish("order.placed", "secret", recipient="two-factor")
    mine = running.publish("order.placed", "mine", recipient="tester")
    wait_until(lambda: len(receiver.requests) == 1, "only the owner's own")
    last = running.publish("order.placed", "last")
    wait_until(lambda: len(receiver.requests) == 2, "the next")
    assert [event["id"] for event in receiver.events] == [mine["id"], last["id"]]


def test_signing_secrets_are_stored_sealed_and_follow_a_rotation_of_the_data_key(
    start: Any, receiver: Any
) -> None:
    world = World()
    running = start(world, secrets_renew_seconds=0.1)
    secret = subscribe(running, callback_url=receiver.url)["signing_secret"]

    def sealed() -> bytes:
        engine = running.board.database.engine
        with engine.connect() as connection:
            return connection.exec_driver_sql("SELECT secret FROM subscriptions").scalar_one()

    before = sealed()
    assert secret.encode() not in before
    world.secrets_manager.rotate("notification", DATA_KEY="another key, of which nobody knew before")
    wait_until(lambda: sealed() != before, "it is sealed anew")
    running.publish("order.placed")
    wait_until(lambda: receiver.requests, "the delivery")
    headers, body = receiver.requests[0]
    Webhook(secret).verify(body, headers)


def test_a_data_key_that_was_rotated_while_the_service_was_stopped_loses_no_signing_secret(
    start: Any, receiver: Any
) -> None:
    running = start()
    secret = subscribe(running, callback_url=receiver.url)["signing_secret"]
    running.stop()
    manager = running.world.secrets_manager
    for key in ("the second data key", "the third data key"):
        rotation = manager.stage("notification", DATA_KEY=key)
        rotation.activate()
        rotation.retire_previous()
    again = start(running.world)
    # Sealed anew before it serves: the earlier versions are needed no more.
    manager.destroy("notification", 1)
    manager.destroy("notification", 2)
    again.publish("order.placed")
    wait_until(lambda: receiver.requests, "the delivery")
    headers, body = receiver.requests[0]
    Webhook(secret).verify(body, headers)


def test_what_waits_is_delivered_after_a_restart(start: Any, receiver: Any) -> None:
    running = start()
    receiver.answer = lambda headers, body: 500
    subscribe(running, callback_url=receiver.url, schedule_seconds=[0, 1, 1, 1])
    event = running.publish("order.placed")
    wait_until(lambda: receiver.requests, "the first attempt")
    running.stop()
    receiver.answer = lambda headers, body: 200
    again = start(running.world)
    wait_until(lambda: deliveries(again, status="delivered"), "the delivery")
    assert deliveries(again)[0]["event_id"] == event["id"]


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.2/hook",
        "https://2130706434/hook",
        "https://0x7f000002/hook",
        "https://[::ffff:10.0.0.1]/hook",
        "https://169.254.169.254/latest/meta-data",
        "http://example.org/hook",
        "https://user:word@example.org/hook",
    ],
)
def test_a_callback_that_could_reach_inside_is_refused_with_the_reason(start: Any, url: str) -> None:
    running = start(webhook_allowed_networks="")
    with running.client() as client:
        response = client.put("/subscriptions/hook", json={"types": ["order.*"], "callback_url": url})
    assert response.status_code == 422
    assert response.json()["detail"].startswith("callback_url")


def test_strangers_cannot_change_a_subscription(start: Any, receiver: Any) -> None:
    running = start()
    subscribe(running, callback_url=receiver.url)
    body = {"types": ["order.*"], "callback_url": receiver.url}
    with running.client("olga", ["operator"]) as client:
        assert client.put("/subscriptions/hook", json=body).status_code == 403
        assert client.delete("/subscriptions/hook").status_code == 403
        assert client.post("/subscriptions/hook/replay", json={"missing": True}).status_code == 403
    with running.client("two-factor", ["service"]) as client:
        assert client.put("/subscriptions/other", json=body).status_code == 403
        assert client.get("/subscriptions").status_code == 403


def test_a_removed_subscription_is_gone_with_its_deliveries(start: Any, receiver: Any) -> None:
    running = start()
    subscribe(running, callback_url=receiver.url)
    running.publish("order.placed")
    wait_until(lambda: deliveries(running, status="delivered"), "it is delivered")
    with running.client() as client:
        assert client.delete("/subscriptions/hook").status_code == 204
        assert client.get("/subscriptions/hook/deliveries").status_code == 404
        assert client.delete("/subscriptions/hook").status_code == 404


def test_the_state_of_the_queues_is_measured(start: Any, receiver: Any) -> None:
    running = start()
    receiver.answer = lambda headers, body: 500
    subscribe(running, callback_url=receiver.url, schedule_seconds=[0, 100])
    running.publish("order.placed", "a")
    wait_until(lambda: receiver.requests, "the first attempt")
    housekeeping: Callable[[], Any] = running.board.housekeeping.measure
    import asyncio

    asyncio.run(housekeeping())
    with running.client() as client:
        text = client.get("/metrics").text
    assert 'fountain_notification_queue_depth{subscription="hook"} 1.0' in text
    assert 'fountain_notification_oldest_undelivered_seconds{subscription="hook"}' in text
