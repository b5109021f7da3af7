"""Subscriptions: whose they are, their secrets, how they end, and what is delivered again."""

import threading
from typing import Any

import httpx2
import pytest
from fountain_common.testing import World, wait_until
from standardwebhooks import Webhook


def test_while_a_secret_is_replaced_both_sign(start: Any, receiver: Any) -> None:
    running = start()
    old = running.subscribe(callback_url=receiver.url)["signing_secret"]
    with running.client() as client:
        new = client.post("/subscriptions/hook/secret/rotate").json()["signing_secret"]
    running.publish("order.placed")
    wait_until(lambda: receiver.requests, "the delivery")
    headers, body = receiver.requests[0]
    for secret in (old, new):
        Webhook(secret).verify(body, headers)
    assert old != new


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


def test_a_subscription_of_this_service_itself_is_refused_and_says_what_else_to_do(start: Any) -> None:
    running = start()
    with running.client() as client:
        answer = client.put("/subscriptions/self", json={"types": ["order.*"], "service": "notification"})
        assert answer.status_code == 422
        assert "/notifications/stream" in answer.json()["detail"]
        assert client.get("/subscriptions/self").status_code == 404


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


def test_signing_secrets_are_stored_sealed_and_follow_a_rotation_of_the_data_key(
    start: Any, receiver: Any
) -> None:
    world = World()
    running = start(world, secrets_renew_seconds=0.1)
    secret = running.subscribe(callback_url=receiver.url)["signing_secret"]

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
    secret = running.subscribe(callback_url=receiver.url)["signing_secret"]
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


def test_a_callback_that_could_reach_inside_is_refused_with_the_reason(start: Any) -> None:
    running = start(webhook_allowed_networks="")
    with running.client() as client:
        for url, reason in {
            "https://127.0.0.2/hook": "loopback",
            "https://2130706434/hook": "loopback",
            "https://0177.0.0.2/hook": "loopback",
            "https://0x7f000002/hook": "loopback",
            "https://[::ffff:127.0.0.1]/hook": "loopback",
            "https://localhost/hook": "loopback",
            "https://[::ffff:10.0.0.1]/hook": "private",
            "https://0xa9fe0101/hook": "link-local",
            "https://169.254.169.254/latest/meta-data": "metadata",
            "https://2852039166/latest/meta-data": "metadata",
            "http://93.184.215.14/hook": "https",
            "https://user:word@example.org/hook": "no user and no password",
        }.items():
            response = client.put("/subscriptions/hook", json={"types": ["order.*"], "callback_url": url})
            assert response.status_code == 422, url
            assert response.json()["detail"].startswith("callback_url")
            assert reason in response.json()["detail"], url


def test_deliveries_come_in_pages_and_by_status(start: Any, receiver: Any) -> None:
    running = start()
    receiver.answer = lambda headers, body: 500 if b'"bad"' in body else 200
    running.subscribe(callback_url=receiver.url, schedule_seconds=[0])
    for number in range(5):
        running.publish("order.placed", f"s{number}", "bad" if number == 2 else "good")
    wait_until(lambda: not running.deliveries(status="pending"), "all are done")
    everything = [each["id"] for each in running.deliveries()]
    found, cursor = [], None
    with running.client() as client:
        while cursor or not found:
            params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
            page = client.get("/subscriptions/hook/deliveries", params=params).json()
            found += [each["id"] for each in page["items"]]
            cursor = page["next"]
        for wrong in ({"status": "lost"}, {"limit": 0}, {"cursor": "x"}):
            assert client.get("/subscriptions/hook/deliveries", params=wrong).status_code in (400, 422)
    assert found == everything
    assert len(found) == 5
    assert [each["status"] for each in running.deliveries(status="dead")] == ["dead"]


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


def test_a_removed_subscription_is_gone_with_its_deliveries(start: Any, receiver: Any) -> None:
    running = start()
    running.subscribe(callback_url=receiver.url)
    running.publish("order.placed")
    wait_until(lambda: running.deliveries(status="delivered"), "it is delivered")
    with running.client() as client:
        assert client.delete("/subscriptions/hook").status_code == 204
        assert client.get("/subscriptions/hook/deliveries").status_code == 404
        assert client.delete("/subscriptions/hook").status_code == 404
