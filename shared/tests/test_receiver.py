"""`POST /notifications` of every service."""

from collections.abc import Iterator
from typing import Any

import pytest
from fountain_common.app import create_service
from fountain_common.event import Event
from fountain_common.settings import ServiceSettings
from fountain_common.testing import ServiceClient, service_client


@pytest.fixture
def heard() -> list[Event]:
    return []


@pytest.fixture
def client(settings: ServiceSettings, heard: list[Event]) -> Iterator[ServiceClient]:
    app = create_service(settings, title="Orders", description="Takes orders.", version="1.0.0")

    @app.state.platform.events.on(">")
    async def remember(event: Event) -> None:
        heard.append(event)
        if event.type == "order.broken":
            raise RuntimeError("no")

    with service_client(app) as client:
        yield client


@pytest.mark.parametrize(
    ("body", "event_type", "subject"),
    [
        ({"type": "order.placed", "subject": "7", "data": {"total": 3}}, "order.placed", "7"),
        ({"type": "order.placed"}, "order.placed", None),
        ({"message": "hello", "subject": "all"}, "message", "all"),
        (
            {"serviceName": "billing", "rotationTime": "2026-11-22T10:00:00Z", "version": 3},
            "secret.rotated",
            "billing",
        ),
        (
            {
                "specversion": "1.0",
                "id": "1",
                "source": "shop",
                "type": "order.placed",
                "position": 7,
                "traceparent": "x",
            },
            "order.placed",
            None,
        ),
    ],
)
def test_every_form_runs_the_same_handlers(
    client: ServiceClient, heard: list[Event], body: dict[str, Any], event_type: str, subject: str | None
) -> None:
    answer = client.post("/notifications", json=body)
    assert answer.status_code == 200
    assert answer.json()["message"].startswith("Notification received; ")
    assert [(event.type, event.subject) for event in heard if event.type == event_type] == [
        (event_type, subject)
    ]


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"type": ""},
        {"type": "a b"},
        {"type": "a", "colour": "red"},
        {"message": 7},
        {"type": "secret.*"},
    ],
)
def test_what_is_no_event_is_a_422_that_repeats_nothing(client: ServiceClient, body: Any) -> None:
    answer = client.post("/notifications", json=body)
    assert answer.status_code == 422
    assert all(set(error) <= {"type", "loc", "msg"} for error in answer.json().get("errors", []))


def test_only_admin_and_notification_deliver(client: ServiceClient) -> None:
    body = {"type": "order.placed"}
    assert (
        client.post(
            "/notifications", json=body, headers=client.bearer("notification", ["service"])
        ).status_code
        == 200
    )
    for subject, role in (("shop", "service"), ("bob", "operator"), ("notification", "viewer")):
        answer = client.post("/notifications", json=body, headers=client.bearer(subject, [role]))
        assert answer.status_code == 403
        assert answer.json()["permission"] == "notifications:deliver"


def test_a_handler_that_fails_asks_for_another_delivery(client: ServiceClient) -> None:
    assert client.post("/notifications", json={"type": "order.broken"}).status_code == 500


def test_a_rotation_notice_makes_the_secrets_be_fetched(client: ServiceClient) -> None:
    before = client.world.secrets_manager.requests.count(("GET", "/secrets/orders"))
    client.post("/notifications", json={"type": "secret.rotated", "subject": "orders"})
    from fountain_common.testing import wait_until

    wait_until(
        lambda: client.world.secrets_manager.requests.count(("GET", "/secrets/orders")) > before, "a look"
    )


def test_the_operation_is_described(client: ServiceClient) -> None:
    operation = client.get("/openapi.json").json()["paths"]["/notifications"]["post"]
    assert operation["operationId"] == "receiveNotification"
    assert operation["summary"]
    assert 0 < len(operation["description"]) <= 300
