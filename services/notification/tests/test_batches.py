"""Several events in one request."""

from pathlib import Path
from typing import Any

import pytest
from fountain_common.testing import ServiceClient, instance

SERVICE = Path(__file__).resolve().parents[1]


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("FOUNTAIN_DATA_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with instance(SERVICE) as made:
        yield made


def batch(*types: str, **more: Any) -> list[dict[str, Any]]:
    return [
        {"id": f"id-{number}", "type": type_, "data": number, **more} for number, type_ in enumerate(types)
    ]


def listed(client: ServiceClient, **params: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(
        "/notifications", params={"source": "shop", **params}, headers=client.bearer("root", ["admin"])
    ).json()["items"]
    return found


def send(client: ServiceClient, events: Any, subject: str = "shop") -> Any:
    return client.post("/notifications/batch", json=events, headers=client.bearer(subject, ["service"]))


def test_a_batch_is_stored_in_its_order(client: ServiceClient) -> None:
    answer = send(client, batch("order.placed", "order.paid", "order.sent"))
    assert answer.status_code == 201
    items = answer.json()["items"]
    assert [item["id"] for item in items] == ["id-0", "id-1", "id-2"]
    stored = listed(client)
    assert [event["type"] for event in stored] == ["order.placed", "order.paid", "order.sent"]
    assert [event["position"] for event in stored] == [item["position"] for item in items]
    assert {event["source"] for event in stored} == {"shop"}


def test_a_batch_sent_again_stores_nothing_more(client: ServiceClient) -> None:
    first = send(client, batch("order.placed", "order.paid")).json()
    assert (
        send(client, batch("order.placed", "order.paid", "order.sent")).json()["items"][:2] == first["items"]
    )
    assert len(listed(client)) == 3


def test_an_event_that_was_sent_alone_before_is_known_in_a_batch(client: ServiceClient) -> None:
    headers = {**client.bearer("shop", ["service"]), "Idempotency-Key": "id-0"}
    alone = client.post("/notifications", json={"type": "order.placed", "data": 0}, headers=headers).json()
    (item,) = send(client, batch("order.placed")).json()["items"]
    assert item == {"id": alone["id"], "position": alone["position"]}


def test_one_event_that_may_not_be_said_keeps_all_out_and_is_named(client: ServiceClient) -> None:
    answer = send(client, batch("order.placed", "secret.rotated", "order.sent"))
    assert answer.status_code == 403
    assert answer.json()["detail"].startswith("Event 1 of the batch: ")
    assert listed(client) == []


@pytest.mark.parametrize(
    "events",
    [
        [],
        {},
        batch(*["order.placed"] * 501),
        [{"type": "order.placed"}],
        [{"id": "x", "type": "order.placed", "colour": "red"}],
        [{"id": "", "type": "order.placed"}],
        [{"id": "x", "type": "no type"}],
        "order.placed",
    ],
)
def test_what_is_no_batch_is_a_422(client: ServiceClient, events: Any) -> None:
    assert send(client, events).status_code == 422
    assert listed(client) == []


def test_an_event_over_64_kilobytes_keeps_all_out(client: ServiceClient) -> None:
    events = [*batch("order.placed"), {"id": "large", "type": "order.sent", "data": "x" * 70_000}]
    assert send(client, events).status_code == 413
    assert listed(client) == []


def test_an_id_that_is_anothers_already_keeps_all_out_and_is_named(client: ServiceClient) -> None:
    assert send(client, [{"id": "id-1", "type": "order.placed"}]).status_code == 201
    answer = send(client, batch("order.placed", "order.paid", "order.sent"))
    assert answer.status_code == 409
    assert answer.json()["detail"].startswith("Event 1 of the batch: ")
    assert [event["id"] for event in listed(client)] == ["id-1"]


def test_the_same_id_twice_with_other_content_keeps_all_out(client: ServiceClient) -> None:
    events = [{"id": "same", "type": "order.placed"}, {"id": "same", "type": "order.sent"}]
    assert send(client, events).status_code == 409
    assert listed(client) == []


def test_the_same_event_twice_in_a_batch_is_stored_once(client: ServiceClient) -> None:
    answer = send(client, [{"id": "same", "type": "order.placed"}] * 2)
    first, second = answer.json()["items"]
    assert first == second
    assert len(listed(client)) == 1


def test_publishing_needs_its_permission(client: ServiceClient) -> None:
    viewer = client.bearer("shop", ["viewer"])
    assert client.post("/notifications/batch", json=batch("order.placed"), headers=viewer).status_code == 403
