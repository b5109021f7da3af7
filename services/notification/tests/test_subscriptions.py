"""Subscriptions: where they may lead, the list of their deliveries, and their end."""

from typing import Any

from fountain_common.testing import wait_until


def test_a_subscription_of_this_service_itself_is_refused_and_says_what_else_to_do(start: Any) -> None:
    running = start()
    with running.client() as client:
        answer = client.put("/subscriptions/self", json={"types": ["order.*"], "service": "notification"})
        assert answer.status_code == 422
        assert "/notifications/stream" in answer.json()["detail"]
        assert client.get("/subscriptions/self").status_code == 404


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


def test_a_removed_subscription_is_gone_with_its_deliveries(start: Any, receiver: Any) -> None:
    running = start()
    running.subscribe(callback_url=receiver.url)
    running.publish("order.placed")
    wait_until(lambda: running.deliveries(status="delivered"), "it is delivered")
    with running.client() as client:
        assert client.delete("/subscriptions/hook").status_code == 204
        assert client.get("/subscriptions/hook/deliveries").status_code == 404
        assert client.delete("/subscriptions/hook").status_code == 404
