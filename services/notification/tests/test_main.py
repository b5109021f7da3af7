"""The notification service as a whole, from the outside."""

import os
from pathlib import Path
from typing import Any

import pytest
from fountain_common.testing import ServiceClient, instance, wait_until
from openapi_spec_validator import OpenAPIV30SpecValidator

SERVICE = Path(__file__).parents[1]
OPERATIONS = {
    "publishNotification",
    "publishNotificationBatch",
    "listNotifications",
    "getNotification",
    "streamNotifications",
    "getRetainedNotification",
    "putSubscription",
    "getSubscription",
    "deleteSubscription",
    "listSubscriptions",
    "rotateSubscriptionSecret",
    "listDeliveries",
    "replaySubscription",
    "redeliverDelivery",
    "getLandingPage",
    "getHealthStatus",
}


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client with an admin's token."""
    monkeypatch.setenv("FOUNTAIN_DATA_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert "FOUNTAIN_DATABASE_URL" not in os.environ
    with instance(SERVICE) as made:
        # In the list last: what is retained is read from the database, a moment before.
        path = "/notifications?type=service.started"
        wait_until(lambda: made.get(path).json()["items"], "it has told about its start")
        yield made


def publish(
    client: ServiceClient,
    body: dict[str, Any],
    subject: str = "tester",
    roles: tuple[str, ...] = ("admin",),
    **headers: str,
) -> Any:
    return client.post("/notifications", json=body, headers={**client.bearer(subject, roles), **headers})


def test_it_is_well_and_describes_itself(client: ServiceClient) -> None:
    assert client.get("/health").json()["status"] == "healthy"
    assert "Notification" in client.get("/").text
    document = client.get("/openapi.json").json()
    OpenAPIV30SpecValidator(document).validate()
    assert {
        operation["operationId"] for path in document["paths"].values() for operation in path.values()
    } == OPERATIONS


def test_a_published_event_is_answered_as_it_is_stored(client: ServiceClient) -> None:
    response = publish(
        client, {"type": "order.placed", "subject": "o1", "data": {"total": 3}}, "shop", ("service",)
    )
    assert response.status_code == 201
    event = response.json()
    assert (event["source"], event["type"], event["subject"], event["data"]) == (
        "shop",
        "order.placed",
        "o1",
        {"total": 3},
    )
    assert client.get(f"/notifications/{event['id']}").json() == event
    assert client.get(response.headers["location"]).json() == event
    assert client.get("/notifications?type=order.*").json() == {"items": [event], "next": None}


@pytest.mark.parametrize("id_", ["a/b", "orders/7/placed", "/", "a//b", "../x", "ü b", "50%", "a?b=c#d"])
def test_every_id_leads_to_its_event(client: ServiceClient, id_: str) -> None:
    response = publish(client, {"id": id_, "type": "order.placed"})
    assert response.json()["id"] == id_
    assert client.get(response.headers["location"]).json() == response.json()


def test_a_whole_cloudevent_keeps_its_id_and_time_but_not_its_source(client: ServiceClient) -> None:
    body = {
        "specversion": "1.0", "id": "mine/1", "source": "https://elsewhere.example", "type": "order.placed",
        "time": "2026-01-02T03:04:05+01:00", "datacontenttype": "application/json", "data": None,
    }  # fmt: skip
    response = publish(client, body)
    event = response.json()
    assert (event["id"], event["source"], event["time"]) == (
        "mine/1",
        "tester",
        "2026-01-02T02:04:05.000000Z",
    )
    assert client.get(response.headers["location"]).status_code in (200, 404)


def test_the_media_type_of_cloudevents_is_understood(client: ServiceClient) -> None:
    headers = {"Content-Type": "application/cloudevents+json"}
    assert (
        client.post("/notifications", content=b'{"type":"order.placed"}', headers=headers).status_code == 201
    )


def test_a_message_and_the_announcement_of_a_rotation_become_events(client: ServiceClient) -> None:
    message = publish(client, {"message": "Lunch", "subject": "kitchen"}).json()
    assert (message["type"], message["subject"], message["data"]) == (
        "message",
        "kitchen",
        {"message": "Lunch"},
    )
    rotation = {"serviceName": "example_consumer", "rotationTime": "2026-01-02T03:04:05Z", "version": 3}
    event = publish(client, rotation).json()
    assert (event["type"], event["subject"], event["source"]) == (
        "secret.rotated",
        "example-consumer",
        "tester",
    )
    assert event["data"]["version"] == 3


@pytest.mark.parametrize(
    "body",
    [
        {"type": "secret.rotated", "subject": "two-factor"},
        {"specversion": "1.0", "id": "1", "source": "secrets-manager", "type": "secret.staged"},
        {"type": "identity.revoked", "subject": "root"},
        {"type": "signing-key.rotated"},
        {"type": "service.registered", "subject": "two-factor"},
        {"type": "service.expired", "subject": "two-factor"},
        {"type": "service.stopping", "subject": "example-consumer"},
        {"type": "subscription.disabled"},
        {"type": "config.updated"},
        {"type": "audit.anchored"},
        {"type": "secret"},
        {"type": "Secret.Rotated"},
        {"type": "secret.rotated", "recipient": "example-consumer"},
        {"type": "secret.rotated", "source": "secrets-manager", "data": {"service_name": "two-factor"}},
        {"type": "service.started"},
        {"serviceName": "two-factor", "rotationTime": "2026-01-02T03:04:05Z", "version": 3},
    ],
)
def test_a_service_says_nothing_that_is_not_its_own_to_say(
    client: ServiceClient, body: dict[str, Any]
) -> None:
    before = client.get("/notifications").json()["items"]
    response = publish(client, body, "two-factor", ("service",))
    assert response.status_code == 403
    assert response.headers["content-type"] == "application/problem+json"
    assert client.get("/notifications").json()["items"] == before


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        "text",
        {"type": ""},
        {"type": "a..b"},
        {"type": "a b"},
        {"type": "order.placed", "subject": "a\x00b"},
        {"type": "order.placed", "id": "a\nb"},
        {"type": "secret.rotated\n"},
        {"type": "order.placed", "unknown": 1},
        {"type": "order.placed", "specversion": "0.3"},
        {"type": "order.placed", "recipient": "No Name"},
        {"type": "order.placed", "expires_at": "2001-01-01T00:00:00Z"},
        {"type": "order.placed", "expires_at": "tomorrow"},
        {"message": ""},
        {"message": "x", "type_": "y"},
        {"serviceName": "Not A Name", "rotationTime": "2026-01-02T03:04:05Z", "version": 1},
    ],
)
def test_what_is_no_event_is_a_422(client: ServiceClient, body: Any) -> None:
    response = client.post("/notifications", json=body)
    assert response.status_code == 422, response.text


def test_an_event_that_is_too_large_is_a_413(client: ServiceClient) -> None:
    assert publish(client, {"type": "order.placed", "data": "x" * 70_000}).status_code == 413


def test_publishing_again_with_the_same_key_answers_the_same_event(client: ServiceClient) -> None:
    headers = {"Idempotency-Key": "k1"}
    first = publish(client, {"type": "order.placed", "data": 1}, **headers)
    again = publish(client, {"type": "order.placed", "data": 1}, **headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert publish(client, {"type": "order.placed", "data": 2}, **headers).status_code == 409
    other = publish(client, {"type": "order.placed", "data": 1}, "shop", ("service",), **headers)
    assert other.json()["id"] != first.json()["id"]


def test_events_are_listed_in_pages_in_order_and_by_filters(client: ServiceClient) -> None:
    for number in range(7):
        publish(
            client,
            {
                "type": f"order.{'placed' if number % 2 else 'paid'}",
                "subject": f"o{number % 3}",
                "data": number,
            },
        )
    found, after = [], 0
    while after is not None:
        page = client.get("/notifications", params={"type": "order.*", "limit": 3, "after": after}).json()
        found += [item["data"] for item in page["items"]]
        after = page["next"]
    assert found == list(range(7))
    by_subject = client.get("/notifications?subject=o1&source=tester").json()["items"]
    assert [item["data"] for item in by_subject] == [1, 4]
    assert client.get("/notifications?type=order.paid&subject=o0").json()["items"][-1]["data"] == 6
    assert client.get("/notifications?source=nobody").json() == {"items": [], "next": None}
    for wrong in ("limit=0", "limit=501", "after=-1", "type=a..b", "after=x"):
        assert client.get(f"/notifications?{wrong}").status_code == 422


def test_the_newest_event_of_a_type_and_subject_is_retained(client: ServiceClient) -> None:
    for subject, data in (("a", 1), ("b", 2), ("a", 3)):
        publish(client, {"type": "order.placed", "subject": subject, "data": data})
    retained = "/notifications/retained?type=order.placed"
    assert client.get(f"{retained}&subject=a").json()["data"] == 3
    assert client.get(f"{retained}&subject=b").json()["data"] == 2
    assert client.get(retained).json()["data"] == 3
    assert client.get(f"{retained}&subject=c").status_code == 404
    assert client.get("/notifications/retained").status_code == 422


def test_an_event_for_one_identity_is_there_for_nobody_else_not_even_an_admin(client: ServiceClient) -> None:
    private = publish(
        client, {"type": "order.placed", "subject": "p", "data": 1, "recipient": "two-factor"}
    ).json()
    paths = (
        "/notifications?type=order.*",
        f"/notifications/{private['id']}",
        "/notifications/retained?type=order.placed&subject=p",
    )
    mine = client.bearer("two-factor", ("service",))
    assert client.get(paths[0], headers=mine).json()["items"] == [private]
    assert [client.get(path, headers=mine).status_code for path in paths] == [200, 200, 200]
    assert client.get(paths[0]).json()["items"] == []
    assert [client.get(path).status_code for path in paths[1:]] == [404, 404]


def test_two_publishers_may_choose_the_same_id(client: ServiceClient) -> None:
    publish(client, {"id": "same", "type": "order.placed", "data": "first"}, "shop", ("service",))
    publish(client, {"id": "same", "type": "order.placed", "data": "second"}, "two-factor", ("service",))
    assert client.get("/notifications/same").json()["data"] == "first"
    assert client.get("/notifications/same?source=two-factor").json()["data"] == "second"


def test_permissions_are_needed(client: ServiceClient) -> None:
    assert client.get("/notifications", headers={"Authorization": ""}).status_code == 401
    assert publish(client, {"type": "order.placed"}, "vera", ("viewer",)).status_code == 403
    assert client.get("/notifications", headers=client.bearer("vera", ("viewer",))).status_code == 200
    assert client.get("/notifications", headers=client.bearer("otto", ("auditor",))).status_code == 403
    assert client.get("/subscriptions", headers=client.bearer("otto", ("auditor",))).status_code == 200
    assert client.get("/notifications?access_token=x").status_code == 400


def test_it_tells_about_its_own_start(client: ServiceClient) -> None:
    event = client.get("/notifications/retained?type=service.started&subject=notification").json()
    assert event["source"] == "notification"


@pytest.mark.parametrize(
    "body",
    [
        {"types": ["a.*"]},
        {"types": ["a.*"], "callback_url": "https://example.org", "service": "echo"},
        {"types": [], "service": "echo"},
        {"types": ["a..b"], "service": "echo"},
        {"types": ["a.*"], "service": "Not A Name"},
        {"types": ["a.*"], "service": "echo", "timeout_seconds": 0},
        {"types": ["a.*"], "service": "echo", "schedule_seconds": []},
        {"types": ["a.*"], "service": "echo", "unknown": 1},
    ],
)
def test_what_is_no_subscription_is_a_422(client: ServiceClient, body: dict[str, Any]) -> None:
    assert client.put("/subscriptions/hook", json=body).status_code == 422
    assert (
        client.put("/subscriptions/Bad_Name", json={"types": ["a.*"], "service": "echo"}).status_code == 422
    )


def test_subscriptions_are_listed_without_their_secrets(client: ServiceClient) -> None:
    for name in ("c", "a", "b"):
        response = client.put(f"/subscriptions/{name}", json={"types": ["a.*"], "service": "echo"})
        assert response.status_code == 201
        assert response.json()["signing_secret"].startswith("whsec_")
    page = client.get("/subscriptions?limit=2").json()
    assert ([item["name"] for item in page["items"]], page["next"]) == (["a", "b"], "b")
    assert [item["name"] for item in client.get("/subscriptions?cursor=b").json()["items"]] == ["c"]
    assert "whsec_" not in client.get("/subscriptions").text + client.get("/subscriptions/a").text
