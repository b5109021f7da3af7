"""An event."""

import pytest
from cloudevents.core.v1.event import CloudEvent
from fountain_common.event import Event
from pydantic import ValidationError

WIRE = {
    "specversion": "1.0",
    "id": "7",
    "source": "shop",
    "type": "order.placed",
    "subject": "42",
    "time": "2026-11-22T10:00:00Z",
    "datacontenttype": "application/json",
    "data": {"total": 3},
    "position": 12,
}


def test_it_is_read_as_it_is_sent() -> None:
    event = Event.model_validate(WIRE)
    assert event.model_dump(mode="json", exclude_none=True) == WIRE


def test_extensions_of_cloudevents_are_kept() -> None:
    event = Event.model_validate({**WIRE, "traceparent": "00-a-b-00"})
    assert event.model_extra == {"traceparent": "00-a-b-00"}


def test_it_is_a_cloudevent_to_the_official_library() -> None:
    event = Event.model_validate(WIRE).model_dump(exclude={"data", "position", "recipient", "expires_at"})
    assert CloudEvent(event, WIRE["data"]).get_type() == "order.placed"


def test_what_is_no_event_is_refused_without_repeating_it() -> None:
    with pytest.raises(ValidationError) as caught:
        Event.model_validate({"specversion": "0.3", "type": "order.placed", "time": "marker-value"})
    assert "marker-value" not in str(caught.value)


def test_it_does_not_change() -> None:
    with pytest.raises(ValidationError):
        Event.model_validate(WIRE).type = "other"  # type: ignore[misc]
