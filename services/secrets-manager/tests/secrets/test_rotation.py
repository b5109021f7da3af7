"""The rules of a rotation, without a database or a clock."""

import pytest
from secrets_manager.rotation import (
    Change,
    Holder,
    NotPossibleError,
    Rotation,
    RotationEvent,
    RotationState,
    VersionState,
    abort,
    advance,
    force,
    immediately,
    next_moment,
)

STAGED = Rotation(
    rotation_id="r",
    service_name="notification",
    version=2,
    previous_version=1,
    state=RotationState.STAGED,
    overdue=False,
    created_at=100.0,
    deadline_at=160.0,
    deadline_seconds=60.0,
    overlap_seconds=900.0,
)
ACTIVE = STAGED._replace(state=RotationState.ACTIVE, activated_at=110.0, deadline_at=170.0)
DRAINING = ACTIVE._replace(state=RotationState.DRAINING, draining_since=120.0)


def holder(accepts: int = 1, uses: int = 1) -> Holder:
    return Holder("i", "notification", accepts, uses)


def last(changes: list[Change]) -> Rotation:
    return changes[-1].rotation


def test_without_holders_it_is_active_at_once_and_drains() -> None:
    changes = advance([STAGED], [], 100.0)
    assert [change.event for change in changes] == [RotationEvent.ROTATED, None]
    assert changes[0].versions == ((2, VersionState.ACTIVE), (1, VersionState.DRAINING))
    assert last(changes).state is RotationState.DRAINING


def test_one_holder_that_does_not_accept_keeps_it_staged() -> None:
    assert advance([STAGED], [holder(accepts=2), holder(accepts=1)], 100.0) == []


def test_it_is_active_when_the_last_holder_accepts() -> None:
    changes = advance([STAGED], [holder(accepts=2), holder(accepts=2)], 101.0)
    assert last(changes).state is RotationState.ACTIVE
    assert last(changes).activated_at == 101.0


def test_the_overlap_counts_from_when_the_last_holder_let_go_and_not_from_activation() -> None:
    changes = advance([ACTIVE], [holder(2, 2)], 700.0)
    assert last(changes).draining_since == 700.0
    assert advance([last(changes)], [holder(2, 2)], 700.0 + 899.0) == []
    assert last(advance([last(changes)], [holder(2, 2)], 700.0 + 900.0)).state is RotationState.RETIRED


def test_a_holder_that_comes_back_with_the_previous_version_begins_the_overlap_anew() -> None:
    back = last(advance([DRAINING], [holder(0, 0)], 130.0))
    assert (back.state, back.draining_since) == (RotationState.ACTIVE, None)
    assert last(advance([back], [holder(2, 2)], 140.0)).draining_since == 140.0


def test_whoever_comes_back_after_the_deadline_of_the_others_is_given_one_of_its_own() -> None:
    changes = advance([DRAINING], [holder(0, 0)], 600.0)
    assert [(change.rotation.shown_state, change.event) for change in changes] == [
        (RotationState.ACTIVE, None)
    ]
    assert last(changes).deadline_at == next_moment(last(changes), [holder(0, 0)]) == 660.0
    assert last(advance([last(changes)], [holder(0, 0)], 660.0)).shown_state is RotationState.OVERDUE


def test_nothing_retires_while_a_holder_is_late_however_long_ago_the_overlap_ended() -> None:
    changes = advance([DRAINING], [holder(2, 1)], 10_000.0)
    assert RotationState.RETIRED not in {change.rotation.state for change in changes}


def test_it_is_overdue_once_and_goes_on_when_the_late_acknowledgement_comes() -> None:
    changes = advance([STAGED], [holder()], 160.0)
    assert [change.event for change in changes] == [RotationEvent.OVERDUE]
    overdue = last(changes)
    assert overdue.shown_state is RotationState.OVERDUE
    assert advance([overdue], [holder()], 9999.0) == []
    late = last(advance([overdue], [holder(accepts=2)], 9999.0))
    assert (late.shown_state, late.deadline_at) == (RotationState.ACTIVE, 9999.0 + 60.0)


def test_waiting_for_uses_has_a_deadline_of_its_own() -> None:
    assert advance([ACTIVE], [holder(2, 1)], 169.0) == []
    assert last(advance([ACTIVE], [holder(2, 1)], 170.0)).shown_state is RotationState.OVERDUE


def test_the_overlap_alone_is_never_overdue() -> None:
    assert advance([DRAINING], [holder(2, 2)], 500.0) == []


def test_an_acknowledgement_covers_older_versions_and_is_never_taken_back() -> None:
    assert holder(1, 1).acknowledge(5, uses=True) == holder(5, 5)
    assert holder(5, 5).acknowledge(3, uses=True) == holder(5, 5)
    assert holder(1, 1).acknowledge(2, uses=False) == holder(2, 1)


def test_an_overlap_that_began_in_the_future_begins_now() -> None:
    """A process whose clock was ahead began it."""
    ahead = DRAINING._replace(draining_since=5000.0)
    begun = last(advance([ahead], [], 130.0))
    assert (begun.state, begun.draining_since) == (RotationState.DRAINING, 130.0)
    assert advance([begun], [], 1029.0) == []
    assert last(advance([begun], [], 1030.0)).state is RotationState.RETIRED


def test_a_deadline_that_no_clock_of_ours_can_have_set_is_set_anew() -> None:
    for rotation in (STAGED, ACTIVE):
        ahead = rotation._replace(deadline_at=1e9)
        waiting = last(advance([ahead], [holder()], 130.0))
        assert (waiting.deadline_at, waiting.overdue) == (190.0, False)
        assert advance([waiting], [holder()], 189.0) == []
        assert last(advance([waiting], [holder()], 190.0)).overdue


def test_several_drain_at_a_time_each_for_its_own_overlap() -> None:
    newer = DRAINING._replace(rotation_id="s", version=3, previous_version=2, overlap_seconds=5.0)
    changes = advance([DRAINING, newer], [holder(3, 3)], 130.0)
    assert [change.versions for change in changes] == [((2, VersionState.RETIRED),)]


def test_force_takes_the_next_step_without_those_who_are_late() -> None:
    assert force(STAGED, 105.0).rotation.state is RotationState.ACTIVE
    assert force(ACTIVE, 115.0).versions == ((1, VersionState.RETIRED),)
    with pytest.raises(NotPossibleError):
        force(force(ACTIVE, 115.0).rotation, 116.0)


def test_what_is_in_use_cannot_be_aborted() -> None:
    aborted = abort(STAGED, 105.0)
    assert (aborted.event, aborted.versions) == (RotationEvent.ABORTED, ((2, VersionState.ABORTED),))
    for rotation in (ACTIVE, DRAINING, aborted.rotation):
        with pytest.raises(NotPossibleError):
            abort(rotation, 106.0)


def test_immediately_retires_every_older_version() -> None:
    urgent = STAGED._replace(rotation_id="u", version=3, previous_version=2)
    changes = immediately(urgent, [DRAINING], 130.0)
    states = dict(state for change in changes for state in change.versions)
    assert states == {1: VersionState.RETIRED, 2: VersionState.RETIRED, 3: VersionState.ACTIVE}


@pytest.mark.parametrize(
    ("rotation", "holders", "moment"),
    [
        (STAGED, [holder()], 160.0),
        (STAGED, [holder(accepts=2)], 100.0),
        (STAGED._replace(overdue=True), [holder()], None),
        (ACTIVE, [holder(2, 1)], 170.0),
        (DRAINING, [holder(2, 2)], 1020.0),
        (DRAINING._replace(state=RotationState.RETIRED), [], None),
    ],
)
def test_the_next_moment_is_when_the_clock_alone_has_something_to_do(
    rotation: Rotation, holders: list[Holder], moment: float | None
) -> None:
    assert next_moment(rotation, holders) == moment
    if moment is not None:
        assert advance([rotation], holders, moment) != []
        if moment > rotation.created_at:
            assert advance([rotation], holders, moment - 0.001) == []
