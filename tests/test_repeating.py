"""Whoever sees a run fail is told how to have the same again."""

import pytest
from repeating import AGAIN, commands

COMMAND = "pytest tests/test_x.py --chaos-seed 11"


def report(outcome: str, when: str = "call") -> pytest.TestReport:
    noted: list[tuple[str, object]] = [("another", "thing"), (AGAIN, COMMAND)]
    return pytest.TestReport("x", ("x", 1, "x"), {}, outcome, None, when, user_properties=noted)  # type: ignore[arg-type]


@pytest.mark.parametrize("outcome", ["passed", "failed"])
def test_the_command_that_repeats_a_run_is_said_whether_it_failed_or_not(outcome: str) -> None:
    reports = {outcome: [report(outcome, "setup"), report(outcome), report(outcome, "teardown")]}
    assert commands(reports) == [f"the same again: {COMMAND}"]


def test_nothing_is_said_of_what_was_not_run() -> None:
    assert commands({"skipped": [report("skipped")]}) == []
