"""Whose a subscription is: who may change it, and who sees what was delivered and answered."""

from typing import Any

import httpx2
from fountain_common.testing import World, wait_until


def test_only_the_owner_sees_what_the_receiver_answered(start: Any, receiver: Any) -> None:
    running = start()
    with running.client("olga", ["operator"]) as client:
        body = {"types": ["order.*"], "callback_url": receiver.url}
        assert client.put("/subscriptions/hook", json=body).status_code == 201
    running.publish("order.placed")
    wait_until(lambda: running.deliveries(status="delivered"), "it is delivered")
    assert running.deliveries()[0]["attempts"][0]["answer"] is None
    assert running.deliveries(subject="olga", roles=["operator"])[0]["attempts"][0]["answer"] == "thanks"


def test_an_admins_change_leaves_a_subscription_and_its_answers_to_the_owner(
    start: Any, receiver: Any
) -> None:
    running = start()
    olga = {"subject": "olga", "roles": ["operator"]}
    body = {"types": ["order.*"], "callback_url": receiver.url, "schedule_seconds": [0]}
    with running.client(**olga) as client:
        assert client.put("/subscriptions/hook", json=body).status_code == 201
    assert running.subscribe(callback_url=receiver.url, types=["order.placed"])["owner"] == "olga"
    private = running.publish("order.placed", recipient="olga")
    wait_until(lambda: running.deliveries(status="delivered"), "it is delivered still")
    assert receiver.events[0]["id"] == private["id"]
    assert running.deliveries()[0]["attempts"][0]["answer"] is None
    assert running.deliveries(**olga)[0]["attempts"][0]["answer"] == "thanks"


def test_with_another_receiver_it_is_the_admins_who_sees_only_what_that_one_answers(
    start: Any, receiver: Any, receivers: Any
) -> None:
    running = start()
    olga = {"subject": "olga", "roles": ["operator"]}
    with running.client(**olga) as client:
        body = {"types": ["order.*"], "callback_url": receiver.url}
        assert client.put("/subscriptions/hook", json=body).status_code == 201
    running.publish("order.placed", data="hers")
    wait_until(lambda: running.deliveries(status="delivered"), "it is delivered")
    admins = receivers()
    admins.answer = lambda headers, body: (200, {}, b"to the admin")
    assert running.subscribe(callback_url=admins.url)["owner"] == "tester"
    running.publish("order.placed", data="for olga alone", recipient="olga")
    running.publish("order.placed", data="his")
    wait_until(lambda: len(running.deliveries(status="delivered")) == 2, "the other is delivered")
    assert [event["data"] for event in admins.events] == ["his"]

    def answers(**caller: Any) -> list[str | None]:
        return [each["attempts"][0]["answer"] for each in running.deliveries(**caller)]

    assert answers() == ["to the admin", None]
    assert answers(**olga) == [None, "thanks"]


def test_whom_an_event_was_for_is_not_told_to_others_who_see_the_delivery(start: Any) -> None:
    world = World()
    world.serve("two-factor", lambda _request: httpx2.Response(200, json={}))
    running = start(world)
    running.subscribe(service="two-factor")
    event = running.publish("order.placed", "private", recipient="two-factor")
    wait_until(lambda: running.deliveries(status="delivered"), "it is delivered")
    [seen] = running.deliveries()
    assert [seen[name] for name in ("event_id", "source", "type", "subject")] == [None] * 4
    [own] = running.deliveries(subject="two-factor", roles=["admin"])
    assert (own["event_id"], own["subject"]) == (event["id"], "private")


def test_strangers_cannot_change_a_subscription(start: Any, receiver: Any) -> None:
    running = start()
    running.subscribe(callback_url=receiver.url)
    body = {"types": ["order.*"], "callback_url": receiver.url}
    with running.client("olga", ["operator"]) as client:
        assert client.put("/subscriptions/hook", json=body).status_code == 403
        assert client.delete("/subscriptions/hook").status_code == 403
        assert client.post("/subscriptions/hook/replay", json={"missing": True}).status_code == 403
    with running.client("two-factor", ["service"]) as client:
        assert client.put("/subscriptions/other", json=body).status_code == 403
        assert client.get("/subscriptions").status_code == 403
