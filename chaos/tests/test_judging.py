"""What excuses a failed request, and what does not."""

import pytest

from chaos.history import Request, Trouble
from chaos.judging import (
    ENOUGH_TO_SHARE,
    ENOUGH_TO_SUCCEED,
    RECOVERY_SECONDS,
    SETTLE_SECONDS,
    Judge,
    tallies,
    too_little,
)
from chaos.schedule import Kind, Part

EDGE, ONE, TWO = Part("caddy"), Part("consumer"), Part("consumer", 1)
INSTANCES = {"consumer": [ONE, TWO], "caddy": [EDGE]}


def trouble(part: Part, began: float, ended: float | None, recovered: float | None) -> Trouble:
    return Trouble(part, Kind.STOP, began, ended, recovered)


def request(began: float = 100.0, ended: float = 100.5, failure: str = "502", **more: object) -> Request:
    return Request("open a link", (EDGE, "consumer"), began, ended, failure, **more)  # type: ignore[arg-type]


def failed(*troubles: Trouble, **of_request: float) -> int:
    found = tallies([request(**of_request)], Judge(troubles, INSTANCES))
    return len(found["open a link"].failed)


def test_a_failure_is_judged_when_nothing_was_disturbed() -> None:
    assert failed() == 1


def test_one_undisturbed_instance_is_enough_to_judge() -> None:
    assert failed(trouble(ONE, 99, 101, 102)) == 1


def test_no_undisturbed_instance_excuses() -> None:
    assert failed(trouble(ONE, 99, 101, 102), trouble(TWO, 98, 101, 102)) == 0


def test_taking_turns_in_being_away_excuses() -> None:
    assert failed(trouble(ONE, 100.0, 100.1, 100.2), trouble(TWO, 100.3, 100.4, 100.5)) == 0


def test_a_disturbed_edge_excuses() -> None:
    assert failed(trouble(EDGE, 100.2, 100.3, 100.4)) == 0


@pytest.mark.parametrize(("recovered", "counted"), [(0.1, 0), (-0.1, 1)])
def test_a_part_excuses_until_it_is_well_and_was_found_again(recovered: float, counted: int) -> None:
    well = 100.0 - SETTLE_SECONDS + recovered
    assert failed(trouble(EDGE, 90, 91, well)) == counted


def test_a_part_that_is_broken_while_one_waits_for_the_answer_excuses() -> None:
    assert failed(trouble(EDGE, 110, 111, 112), ended=111.0) == 0


def test_what_comes_after_the_answer_excuses_nothing() -> None:
    assert failed(trouble(EDGE, 100.6, 101, 102)) == 1


def test_a_part_that_is_still_held_excuses() -> None:
    assert failed(trouble(EDGE, 50, None, None)) == 0


def test_a_part_that_never_recovers_does_not_excuse_for_ever() -> None:
    late = 91 + RECOVERY_SECONDS + SETTLE_SECONDS + 1
    assert failed(trouble(EDGE, 90, 91, None), began=late, ended=late) == 1
    assert failed(trouble(EDGE, 90, 91, late + 500), began=late, ended=late) == 1


def test_an_instance_of_its_own_has_no_substitute() -> None:
    direct = Request("health", (ONE,), 100.0, 100.1, "503")
    found = tallies([direct], Judge([trouble(ONE, 99, 101, 102)], INSTANCES))
    assert (found["health"].failed, found["health"].judged) == ([], 0)


def test_what_is_not_idempotent_is_judged_only_if_nothing_on_its_way_was_disturbed() -> None:
    once = request(idempotent=False)
    found = tallies([once], Judge([], INSTANCES))["open a link"]
    assert (found.sent, found.ok, found.judged, found.failed) == (1, 0, 1, [once])
    # A repetition could have come to the other instance, and there is none.
    found = tallies([once], Judge([trouble(ONE, 99, 101, 102)], INSTANCES))["open a link"]
    assert (found.sent, found.ok, found.judged, found.failed) == (1, 0, 0, [])
    assert found.excluded == {"it is not idempotent": 1}


def test_work_of_which_nothing_was_done_is_named() -> None:
    judge = Judge([trouble(ONE, 99, 101, 102)], INSTANCES)
    others = [Request("look up", (), 100.0, 100.1) for _ in range(ENOUGH_TO_SUCCEED)]
    failed = [request(idempotent=False) for _ in range(ENOUGH_TO_SUCCEED)]
    [said] = too_little(tallies([*failed, *others], judge))
    assert "0 of 10 requests to open a link were answered" in said
    done = [request(failure="", idempotent=False) for _ in range(2)]
    assert too_little(tallies([*failed[2:], *done, *others], judge)) == []


def test_exclusions_are_counted_by_reason() -> None:
    requests = [request(), request(failure=""), request(began=200.0, ended=200.1)]
    found = tallies(requests, Judge([trouble(EDGE, 99, 101, 102)], INSTANCES))["open a link"]
    assert found.excluded == {"caddy was disturbed": 1}
    assert found.not_judged == {"caddy was disturbed": 2}
    assert (found.sent, found.ok, found.judged, len(found.failed)) == (3, 1, 1, 1)
    assert round(found.slowest, 3) == 0.1


def test_a_run_in_which_little_was_judged_has_shown_nothing() -> None:
    requests = [request(failure="") for _ in range(ENOUGH_TO_SHARE)]
    all_excluded = tallies(requests, Judge([trouble(EDGE, 99, 101, 102)], INSTANCES))
    assert len(too_little(all_excluded)) == 2
    assert too_little(tallies(requests, Judge([], INSTANCES))) == []


def test_a_kind_of_which_little_was_judged_is_named_although_the_others_were() -> None:
    others = [Request("look up", (), 100.0, 100.1) for _ in range(10 * ENOUGH_TO_SHARE)]
    excluded = [request(failure="") for _ in range(ENOUGH_TO_SHARE)]
    judge = Judge([trouble(EDGE, 99, 101, 102)], INSTANCES)
    [said] = too_little(tallies([*excluded, *others], judge))
    assert "open a link" in said
    assert too_little(tallies([*excluded[1:], *others], judge)) == []
