"""Events and their JSON."""

import orjson
import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from fountain_common.event import MAX_EVENT_BYTES
from notification.event import Draft, TooLarge, erased


def draft(**more: object) -> Draft:
    return Draft.of(**{"id": "e1", "source": "shop", "type": "order.placed", "time": 1_800_000_000, **more})


def test_a_cloudevents_sdk_reads_an_event_with_all_its_attributes() -> None:
    stored = draft(subject="o1", data={"total": 3}, recipient="alice", expires_at=1_900_000_000).at(7, 0)
    event = JSONFormat().read(CloudEvent, stored.body)
    assert event.get_id() == "e1"
    assert event.get_data() == {"total": 3}
    attributes = event.get_attributes()
    assert (attributes["position"], attributes["recipient"]) == (7, "alice")
    assert attributes["expirytime"] == "2030-03-17T17:46:40.000000Z"


def test_what_is_absent_is_left_out() -> None:
    assert set(orjson.loads(draft().at(1, 0).body)) == {
        "specversion",
        "id",
        "source",
        "type",
        "time",
        "position",
    }


def test_an_event_over_the_limit_is_refused() -> None:
    draft(data="x" * (MAX_EVENT_BYTES - 200))
    with pytest.raises(TooLarge):
        draft(data="x" * MAX_EVENT_BYTES)


def test_the_same_thing_said_again_has_the_same_fingerprint() -> None:
    assert draft(data={"a": 1, "b": 2}).fingerprint == draft(data={"b": 2, "a": 1}, time=5).fingerprint
    assert draft(data={"a": 1}).fingerprint != draft(data={"a": 2}).fingerprint
    assert draft(recipient="alice").fingerprint != draft().fingerprint


def test_expired_data_is_not_shown_though_nobody_has_erased_it_yet() -> None:
    stored = draft(data={"card": "card 4111"}, expires_at=100).at(1, 0)
    assert b"card 4111" in stored.at_time(99).body
    assert b"card 4111" not in stored.at_time(100).body
    assert orjson.loads(erased(stored.body))["position"] == 1
