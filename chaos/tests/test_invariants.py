"""Each rule finds the made-up history that violates it, and leaves the one beside it alone."""

from dataclasses import replace

import pytest

from chaos import invariants
from chaos.history import (
    Acknowledged,
    NewVersion,
    Opening,
    Received,
    Request,
    RotationSeen,
    Trouble,
    expected_events,
)
from chaos.judging import Judge, tallies
from chaos.schedule import Kind, Part

FIRST, SECOND = Received("note:a", 1, "x", "0-1"), Received("note:b", 2, "x", "0-2")
ROTATION = RotationSeen("r1", "consumer", 5, 4, "retired", "rotate", (), True, 100.0)
GIVEN = NewVersion("consumer", 5, "f5")


def test_an_acknowledged_publish_that_never_came_is_found() -> None:
    acknowledged = [Acknowledged("note:a", "direct"), Acknowledged("action:1", "outbox")]
    [found] = invariants.received(acknowledged, [FIRST, SECOND], "reader")
    assert "action:1 (outbox) did not reach the reader" in found.detail


def test_what_came_without_being_acknowledged_is_no_violation() -> None:
    assert invariants.received([Acknowledged("note:a", "direct")], [FIRST, SECOND], "reader") == []


def test_an_event_that_overtakes_another_of_its_subject_is_found() -> None:
    [found] = invariants.in_order([SECOND, FIRST], "receiver", by_subject=True)
    assert "note:a at position 1 after 2" in found.detail


def test_a_duplicate_is_no_disorder() -> None:
    assert invariants.in_order([FIRST, SECOND, FIRST], "receiver", by_subject=True) == []


def test_subjects_may_overtake_each_other_in_a_subscription_and_not_in_a_stream() -> None:
    events = [SECOND, replace(FIRST, subject="y")]
    assert invariants.in_order(events, "receiver", by_subject=True) == []
    assert len(invariants.in_order(events, "reader", by_subject=False)) == 1


def test_a_publish_that_is_stored_twice_is_found() -> None:
    again = Received("note:c", 3, "x", FIRST.number)
    [found] = invariants.stored_once([FIRST, SECOND, again])
    assert FIRST.number in found.detail


def test_an_event_that_comes_twice_is_stored_once() -> None:
    assert invariants.stored_once([FIRST, FIRST, SECOND]) == []


def test_a_gap_is_found() -> None:
    assert invariants.nothing_missed(0) == []
    assert len(invariants.nothing_missed(1)) == 1


def test_a_forged_delivery_is_found() -> None:
    assert invariants.genuine(0) == []
    assert len(invariants.genuine(1)) == 1


@pytest.mark.parametrize("state", ["staged", "active", "draining", "overdue"])
def test_a_rotation_that_has_not_ended_and_does_not_say_why_is_found(state: str) -> None:
    assert len(invariants.rotations_ended([replace(ROTATION, state=state)])) == 1


@pytest.mark.parametrize("state", ["retired", "aborted", "superseded"])
def test_a_rotation_that_has_ended_is_no_violation(state: str) -> None:
    assert invariants.rotations_ended([replace(ROTATION, state=state)]) == []


def test_an_overdue_rotation_says_for_whom_it_waits() -> None:
    assert invariants.rotations_ended([replace(ROTATION, state="overdue", late=("consumer 1",))]) == []


def test_an_overdue_rotation_that_waits_for_nobody_is_found() -> None:
    [found] = invariants.rotations_ended([replace(ROTATION, state="overdue")])
    assert "is overdue, waiting for nobody" in found.detail


def test_a_rotation_still_active_is_found_although_it_names_who_is_late() -> None:
    assert len(invariants.rotations_ended([replace(ROTATION, state="active", late=("consumer 1",))])) == 1


def test_with_all_parts_well_nobody_of_any_service_is_waited_for() -> None:
    waiting = replace(ROTATION, service="two-factor", state="overdue", late=("two-factor 1",))
    [found] = invariants.nobody_late([ROTATION, waiting])
    assert "two-factor 1 has not confirmed version 5 of two-factor" in found.detail
    assert found.services == ("two-factor", "secrets-manager")


def test_a_consumer_behind_and_one_that_does_not_say_are_found() -> None:
    found = invariants.on_the_newest({"consumer": 5, "consumer/1": 4, "consumer/2": None}, 5)
    assert [one.detail.split()[0] for one in found] == ["consumer/1", "consumer/2"]


def test_an_audit_that_is_not_whole_is_found() -> None:
    whole = {"intact": True, "event_log": "checked", "findings": []}
    assert invariants.audit_whole(whole) == []
    assert len(invariants.audit_whole(whole | {"intact": False})) == 1
    assert len(invariants.audit_whole({})) == 1


@pytest.mark.parametrize("event_log", ["empty", "unreachable", None])
def test_an_audit_whose_anchor_in_the_event_log_was_not_checked_is_found(event_log: str | None) -> None:
    [found] = invariants.audit_whole({"intact": True, "event_log": event_log, "findings": []})
    assert f"was not checked: the log is {event_log}" in found.detail


LATER = NewVersion("consumer", 6, "f6")
OPENED: dict[tuple[str, int], str | None] = {("consumer", 5): "f5", ("consumer", 6): "f6"}
ACTIVE: dict[str, NewVersion | None] = {"consumer": LATER}


def test_a_version_that_is_not_listed_any_more_is_found() -> None:
    [found] = invariants.versions_kept([GIVEN, LATER], {"consumer": [4, 6]}, OPENED, ACTIVE)
    assert "version 5 was given and is not listed" in found.detail


@pytest.mark.parametrize("version", [5, 6])
def test_a_version_that_does_not_open_is_found_whether_it_is_active_or_retired(version: int) -> None:
    opened = {**OPENED, ("consumer", version): None}
    [found] = invariants.versions_kept([GIVEN, LATER], {"consumer": [5, 6]}, opened, ACTIVE)
    assert f"version {version} was given and does not open" in found.detail


@pytest.mark.parametrize("version", [5, 6])
def test_a_version_with_other_values_is_found_whether_it_is_active_or_retired(version: int) -> None:
    opened = {**OPENED, ("consumer", version): "g"}
    [found] = invariants.versions_kept([GIVEN, LATER], {"consumer": [5, 6]}, opened, ACTIVE)
    assert f"version {version} has other values" in found.detail


def test_an_active_secret_that_does_not_open_is_found() -> None:
    [found] = invariants.versions_kept([GIVEN, LATER], {"consumer": [5, 6]}, OPENED, {"consumer": None})
    assert "the active secret of consumer does not open" in found.detail


def test_an_active_secret_with_other_values_than_its_version_is_found() -> None:
    active = {"consumer": replace(LATER, fingerprint="g")}
    [found] = invariants.versions_kept([GIVEN, LATER], {"consumer": [5, 6]}, OPENED, active)
    assert "version 6 has other values" in found.detail


def test_versions_that_are_all_there_are_no_violation() -> None:
    assert invariants.versions_kept([GIVEN, LATER], {"consumer": [5, 6]}, OPENED, ACTIVE) == []


def test_a_version_that_was_not_read_again_says_nothing_about_its_values() -> None:
    assert invariants.versions_kept([GIVEN, LATER], {"consumer": [5, 6]}, {}, ACTIVE) == []


@pytest.mark.parametrize(
    ("status", "retired", "violated"),
    [
        (307, {}, False),
        (410, {}, True),
        (410, {5: 99.0}, False),
        (410, {5: 101.5}, True),
        (404, {5: 99.0}, True),
        (404, {}, True),
    ],
)
def test_a_link_that_does_not_open_before_its_version_is_retired_is_found(
    status: int, retired: dict[int, float], violated: bool
) -> None:
    opening = Opening("consumer/1", 5, status, 100.0, 101.0)
    assert bool(invariants.links_open([opening], retired)) is violated


def test_a_request_that_failed_beside_a_healthy_instance_is_found() -> None:
    needed = Part("consumer")
    requests = [
        Request("look up", (needed,), 100.0, 100.1, "503 no"),
        Request("look up", (needed,), 1.0, 1.1),
    ]
    healthy = tallies(requests, Judge([], {}))
    [found] = invariants.requests_answered(healthy)
    assert "503 no" in found.detail
    assert found.services == ("consumer",)


def test_a_run_that_judged_too_little_is_found() -> None:
    part = Part("consumer")
    broken = Judge([Trouble(part, Kind.STOP, 0.0, None, None)], {})
    requests = [Request("look up", (part,), 100.0, 100.1) for _ in range(5)]
    found = invariants.requests_answered(tallies(requests, broken))
    assert {one.rule for one in found} == {"enough was judged"}


@pytest.mark.parametrize(("recovered", "violated"), [(105.0, False), (None, True), (190.0, True)])
def test_a_part_that_does_not_get_up_is_found(recovered: float | None, violated: bool) -> None:
    trouble = Trouble(Part("consumer"), Kind.KILL, 99.0, 100.0, recovered)
    assert bool(invariants.recovered([trouble])) is violated


def test_a_rotation_is_told_of_as_far_as_it_came() -> None:
    def keys(rotation: RotationSeen) -> list[str]:
        return [one.key.partition(":")[0] for one in expected_events([rotation])]

    assert keys(ROTATION) == ["secret.staged", "secret.rotated", "secret.retired"]
    assert keys(replace(ROTATION, state="overdue")) == ["secret.staged", "secret.rotated"]
    assert keys(replace(ROTATION, state="superseded", activated=False)) == ["secret.staged"]


def _restarted(part: Part, answered: float, recovered: float, kind: Kind = Kind.KILL) -> Trouble:
    return Trouble(part, kind, answered - 2, answered - 1, recovered, answered=answered)


JOINED_BY = Part("secrets-manager"), Part("gateway-lookup")


@pytest.mark.parametrize(
    ("recovered", "manager_back", "violated"),
    [
        (110.0, None, False),
        (120.0, None, True),
        # The Secrets Manager was away until then.
        (120.0, 112.0, False),
        (130.0, 112.0, True),
        # And before it was up at all, which is nobody's excuse.
        (120.0, 99.0, True),
    ],
)
def test_one_that_is_up_and_not_found_is_found(
    recovered: float, manager_back: float | None, violated: bool
) -> None:
    troubles = [_restarted(Part("action"), 100.0, recovered)]
    if manager_back is not None:
        troubles.append(_restarted(JOINED_BY[0], manager_back - 1, manager_back))
    assert bool(invariants.joined(troubles, JOINED_BY)) is violated


def test_those_by_which_others_join_have_to_join_too() -> None:
    [found] = invariants.joined([_restarted(JOINED_BY[1], 100.0, 140.0)], JOINED_BY)
    assert "gateway-lookup was up after a kill, and not found for 40 s" in found.detail


def test_one_that_was_only_frozen_has_nothing_to_join() -> None:
    assert invariants.joined([_restarted(Part("action"), 100.0, 140.0, Kind.PAUSE)], JOINED_BY) == []


def test_a_rotation_that_was_acknowledged_and_is_not_listed_is_found() -> None:
    given = replace(GIVEN, rotation_id="r1")
    assert invariants.rotations_listed([given], [ROTATION]) == []
    [found] = invariants.rotations_listed([replace(given, rotation_id="r2")], [ROTATION])
    assert "r2 gave version 5 of consumer" in found.detail


def test_a_disturbance_that_could_not_be_done_is_found() -> None:
    done = Trouble(Part("action"), Kind.KILL, 1.0)
    [found] = invariants.broken([done, replace(done, note="refused")], 2)
    assert "refused" in found.detail


def test_a_run_that_hardly_broke_anything_is_found() -> None:
    done = Trouble(Part("action"), Kind.KILL, 1.0)
    assert invariants.broken([done] * 4, 10) == []
    assert len(invariants.broken([done] * 3, 10)) == 1
