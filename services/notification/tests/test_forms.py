"""What is said in any form: the limit holds for all of them, and what is reserved stays reserved."""

from itertools import product
from typing import Any

import orjson
import pytest
from fountain_common.errors import Problem
from fountain_common.event import MAX_EVENT_BYTES, require_fit
from fountain_common.testing import wait_until
from hypothesis import given
from hypothesis import strategies as st
from notification.event import Draft

JSON = "application/json"
CLOUD_EVENT = "application/cloudevents+json"
RESERVED = [
    "secret.staged", "secret.rotated", "secret.retired", "secret.rotation-overdue", "secret.revoked",
    "secret.made-up.later", "secret", "SECRET.rotated", "identity.revoked", "signing-key.rotated",
    "audit.anchored",
    "service.registered", "service.expired", "service.started", "service.stopping", "service.degraded",
    "service.recovered", "subscription.disabled", "config.updated",
]  # fmt: skip
FORMS: dict[str, Any] = {
    "short": lambda type_: {"type": type_, "subject": "example-consumer"},
    "short without a subject": lambda type_: {"type": type_},
    "with data": lambda type_: {
        "type": type_, "subject": "example-consumer", "data": {"service_name": "example-consumer"},
    },
    "whole": lambda type_: {
        "specversion": "1.0", "id": f"made-up-{type_}", "source": "secrets-manager", "type": type_,
        "subject": "example-consumer", "time": "2026-01-02T03:04:05Z", "datacontenttype": JSON, "data": {},
    },
    "for one identity": lambda type_: {"type": type_, "recipient": "example-consumer", "subject": "two"},
    "with a message beside": lambda type_: {"type": type_, "message": "x"},
    "as a rotation": lambda _type: {
        "serviceName": "example-consumer", "rotationTime": "2026-01-02T03:04:05Z", "version": 3,
    },
}  # fmt: skip
_NO_EVENT = {
    "/notifications": ("with a message beside",),
    "/notifications/batch": ("with a message beside", "as a rotation"),
}
"""The forms that mean no event there, whatever their type."""


def test_a_service_says_nothing_reserved_in_any_form_and_no_receiver_acts(
    start: Any, listen: Any, receiver: Any
) -> None:
    running = start()
    running.subscribe(types=[">"], callback_url=receiver.url)
    everybody = listen(running, ">")
    meant = listen(running, ">", subject="example-consumer", roles=["service"])
    with running.client("two-factor", ["service"]) as client:
        for type_, (name, form) in product(RESERVED, FORMS.items()):
            for path, media, said in (
                ("/notifications", JSON, form(type_)),
                ("/notifications", CLOUD_EVENT, form(type_)),
                ("/notifications/batch", JSON, [{"id": "made-up", **form(type_)}]),
            ):
                answer = client.post(path, content=orjson.dumps(said), headers={"Content-Type": media})
                refused = 422 if name in _NO_EVENT.get(path, ()) else 403
                assert answer.status_code == refused, (name, type_, path, answer.text)
        said = client.post("/notifications", json={"type": "order.placed", "subject": "last"})
        assert said.status_code == 201
    for listener in (everybody, meant):
        listener.wait_for(1)
        assert [event["type"] for _, _, event in listener.events] == ["order.placed"]
    wait_until(lambda: receiver.requests, "the last is delivered")
    assert [event["type"] for event in receiver.events] == ["order.placed"]


def test_the_attributes_of_the_binary_mode_say_nothing(start: Any) -> None:
    running = start()
    with running.client("two-factor", ["service"]) as client:
        headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-type": "secret.rotated", "ce-source": "x"}
        assert client.post("/notifications", json={"data": {}}, headers=headers).status_code == 422
        said = client.post("/notifications", json={"type": "order.placed"}, headers=headers)
    assert (said.json()["type"], said.json()["source"]) == ("order.placed", "two-factor")


@pytest.mark.parametrize(
    "form",
    [
        lambda text: {"type": "order.placed", "data": text},
        lambda text: {"specversion": "1.0", "id": f"{len(text):09}", "type": "order.placed", "data": [text]},
        lambda text: {"message": text},
        lambda text: {"message": text, "subject": "s"},
    ],
)
def test_no_form_gets_more_than_64_kb_into_the_log(start: Any, form: Any) -> None:
    running = start()

    def publish(length: int) -> Any:
        with running.client() as client:
            return client.post("/notifications", json=form("x" * length))

    fits, too_large = 0, 70_000
    while too_large - fits > 1:
        middle = (fits + too_large) // 2
        answer = publish(middle)
        assert answer.status_code in (201, 413), answer.text
        fits, too_large = (fits, middle) if answer.status_code == 413 else (middle, too_large)
    found = running.board.log.tail.after(0)
    largest = max(len(event.body) for event in found)
    assert MAX_EVENT_BYTES - 64 <= largest <= MAX_EVENT_BYTES
    assert "65536" in publish(too_large).json()["detail"]


@given(st.integers(63_000, 66_000), st.sampled_from(["x", "\u00e4", "\n", "\u20ac"]), st.text(max_size=40))
def test_what_the_library_lets_through_fits_into_the_log(size: int, letter: str, subject: str) -> None:
    data = {"text": letter * (size // len(orjson.dumps(letter)[1:-1]))}
    try:
        require_fit("order.placed", subject or None, data, "two-factor")
    except Problem:
        return
    Draft.of(
        id="i" * 36, source="s" * 63, type="order.placed", time=0, subject=subject, data=data,
        recipient="two-factor", expires_at=4e9,
    )  # fmt: skip
