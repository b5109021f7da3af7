"""Deliveries to webhooks and to services."""

import base64
import time
from typing import Any

import httpx2
import orjson
from fountain_common.testing import World, wait_until
from standardwebhooks import Webhook


def test_an_event_is_delivered_signed_and_the_official_library_agrees(start: Any, receiver: Any) -> None:
    running = start()
    put = running.subscribe(callback_url=receiver.url)
    event = running.publish("order.placed", "o1", {"total": 3})
    wait_until(lambda: receiver.requests, "the delivery")
    headers, body = receiver.requests[0]
    assert Webhook(put["signing_secret"]).verify(body, headers)["id"] == event["id"]
    assert orjson.loads(body) == event
    assert headers["content-type"] == "application/cloudevents+json"
    wait_until(lambda: running.deliveries(status="delivered"), "it is written down")
    [attempt] = running.deliveries()[0]["attempts"]
    assert (attempt["status_code"], attempt["error"], attempt["answer"]) == (200, None, "thanks")


def test_what_fails_is_tried_again_with_the_same_id_and_then_given_up(start: Any, receiver: Any) -> None:
    running = start()
    receiver.answer = lambda headers, body: (500, {}, b"x" * 5000)
    running.subscribe(callback_url=receiver.url)
    running.publish("order.placed", "o1")
    running.publish("order.placed", "o2")
    wait_until(lambda: len(running.deliveries(status="dead")) == 2, "both are given up")
    found = running.deliveries()
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
    running.subscribe(callback_url=receiver.url)
    for number in range(5):
        running.publish("order.placed", "same", number)
    wait_until(lambda: len(running.deliveries(status="delivered")) == 5, "all are delivered", 10)
    assert [event["data"] for event in receiver.events] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_after_a_dead_letter_the_next_of_its_subject_goes(start: Any, receiver: Any) -> None:
    running = start()
    receiver.answer = lambda headers, body: 500 if b'"bad"' in body else 200
    running.subscribe(callback_url=receiver.url)
    running.publish("order.placed", "same", "bad")
    good = running.publish("order.placed", "same", "good")
    wait_until(lambda: running.deliveries(status="delivered"), "the second is delivered")
    assert running.deliveries(status="delivered")[0]["event_id"] == good["id"]
    assert len(running.deliveries(status="dead")) == 1


def test_a_dead_receiver_slows_nobody(start: Any, receiver: Any, receivers: Any) -> None:
    running = start(delivery_timeout_seconds=30)
    stuck = receivers()
    stuck.answer = lambda headers, body: time.sleep(30) or 200
    running.subscribe("stuck", callback_url=stuck.url)
    running.subscribe(callback_url=receiver.url)
    for number in range(30):
        running.publish("order.placed", f"s{number}")
    wait_until(lambda: len(running.deliveries(status="delivered")) == 30, "the other has all", 10)
    assert len(stuck.requests) <= 8


def test_retry_after_is_honoured(start: Any, receiver: Any) -> None:
    running = start()
    times: list[float] = []

    def answer(_headers: dict[str, str], _body: bytes) -> Any:
        times.append(time.monotonic())
        return (503, {"Retry-After": "1"}, b"") if len(times) == 1 else 200

    receiver.answer = answer
    running.subscribe(callback_url=receiver.url)
    running.publish("order.placed")
    wait_until(lambda: len(times) == 2, "the second attempt")
    assert times[1] - times[0] >= 1


def test_a_redirect_is_a_failure_and_nobody_follows_it(start: Any, receiver: Any, receivers: Any) -> None:
    running = start()
    inside = receivers()
    receiver.answer = lambda headers, body: (307, {"Location": inside.url}, b"")
    running.subscribe(callback_url=receiver.url)
    running.publish("order.placed")
    wait_until(lambda: running.deliveries(status="dead"), "it is given up")
    assert "redirects are not followed" in running.deliveries()[0]["attempts"][0]["error"]
    assert not inside.requests


def test_a_receiver_that_does_not_answer_in_time_has_failed(start: Any, receiver: Any) -> None:
    running = start()
    receiver.answer = lambda headers, body: time.sleep(0.6) or 200
    running.subscribe(callback_url=receiver.url, timeout_seconds=0.2, schedule_seconds=[0])
    running.publish("order.placed")
    wait_until(lambda: running.deliveries(status="dead"), "it is given up")
    assert "No answer within 0.2 seconds" in running.deliveries()[0]["attempts"][0]["error"]


def test_a_service_gets_it_with_a_token_for_itself_and_signed(start: Any) -> None:
    world = World()
    came: list[httpx2.Request] = []

    def echo(request: httpx2.Request) -> httpx2.Response:
        came.append(request)
        return httpx2.Response(200, json={"message": "ok"})

    world.serve("echo", echo)
    running = start(world)
    secret = running.subscribe(service="echo")["signing_secret"]
    event = running.publish("order.placed", "o1")
    wait_until(lambda: came, "the delivery")
    [request] = came
    assert request.url.path == "/notifications"
    assert orjson.loads(request.content) == event
    Webhook(secret).verify(request.content, dict(request.headers))
    claims = orjson.loads(_payload(request.headers["authorization"]))
    assert (claims["sub"], claims["aud"]) == ("notification", ["echo"])


def _payload(authorization: str) -> bytes:
    part = authorization.split(".")[1]
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_an_event_for_one_identity_goes_to_no_other_subscription(start: Any, receiver: Any) -> None:
    running = start()
    running.subscribe(types=[">"], callback_url=receiver.url)
    running.publish("order.placed", "secret", recipient="two-factor")
    mine = running.publish("order.placed", "mine", recipient="tester")
    wait_until(lambda: len(receiver.requests) == 1, "only the owner's own")
    last = running.publish("order.placed", "last")
    wait_until(lambda: len(receiver.requests) == 2, "the next")
    assert [event["id"] for event in receiver.events] == [mine["id"], last["id"]]


def test_what_waits_is_delivered_after_a_restart(start: Any, receiver: Any) -> None:
    running = start()
    receiver.answer = lambda headers, body: 500
    running.subscribe(callback_url=receiver.url, schedule_seconds=[0, 1, 1, 1])
    event = running.publish("order.placed")
    wait_until(lambda: receiver.requests, "the first attempt")
    running.stop()
    receiver.answer = lambda headers, body: 200
    again = start(running.world)
    wait_until(lambda: again.deliveries(status="delivered"), "the delivery")
    assert again.deliveries()[0]["event_id"] == event["id"]
