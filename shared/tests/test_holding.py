"""What a holder of secrets holds."""

import pickle
from typing import Any

import pytest
from fountain_common.holding import Held, read_document


def document(active: int, *, epoch: str = "e1", **states: str) -> dict[str, Any]:
    versions = {active: "active", **{int(name[1:]): state for name, state in states.items()}}
    return {
        "service_name": "orders",
        "version": active,
        "secrets": {"KEY": f"value-{active}"},
        "versions": [
            {"version": number, "state": state, "secrets": {"KEY": f"value-{number}"}}
            for number, state in versions.items()
        ],
        "epoch": epoch,
    }


def held(*documents: dict[str, Any]) -> Held:
    one = Held()
    for each in documents:
        one.take(read_document(each), now=100.0)
    return one


def test_the_order_is_active_then_staged_then_draining_newest_first() -> None:
    one = held(document(5, v6="staged", v3="draining", v4="draining"))
    assert [version.number for version in one.in_order] == [5, 6, 4, 3]
    assert one.newest == 6


def test_within_an_epoch_the_active_version_never_goes_back() -> None:
    one = held(document(2))
    assert not one.take(read_document(document(1)))
    assert one.active == 2


def test_a_new_epoch_may_begin_with_an_older_version() -> None:
    one = held(document(7))
    assert one.take(read_document(document(2, epoch="e2")))
    assert (one.epoch, one.active) == ("e2", 2)


def test_a_version_that_is_retired_is_not_honoured() -> None:
    one = held(document(2, v1="draining"), document(2, v1="retired"))
    assert one.states() == {2: "active"}


def test_since_when_is_when_the_state_changed() -> None:
    one = held(document(1, v2="staged"))
    one.take(read_document(document(2, v1="draining")), now=200.0)
    one.take(read_document(document(2, v1="draining", v3="staged")), now=300.0)
    assert {report.version: report.since.timestamp() for report in one.report(0, 0)} == {
        2: 200.0,
        1: 200.0,
        3: 300.0,
    }


def test_the_report_says_what_was_acknowledged() -> None:
    one = held(document(2, v3="staged", v1="draining"))
    assert {report.version: report.phase for report in one.report(accepts=3, uses=2)} == {
        3: "accepts",
        2: "uses",
        1: "uses",
    }
    assert all("value" not in repr(report) for report in one.report(3, 2))


def test_an_answer_without_values_is_not_held() -> None:
    withheld = document(1)
    withheld["secrets"] = {}
    withheld["versions"][0]["secrets"] = {}
    with pytest.raises(ValueError, match="withheld"):
        read_document(withheld)


def test_a_version_prints_and_pickles_no_value() -> None:
    version = held(document(1)).in_order[0]
    assert "value-1" not in repr(version) + str(version) + repr(held(document(1)))
    with pytest.raises(TypeError):
        pickle.dumps(version)
