"""What follows from an attempt."""

import random

import pytest
from notification.sender import Answer
from notification.verdict import Verdict, judge

SCHEDULE = (0.0, 5.0)


def after(outcome: Answer | str, attempts: int = 1) -> Verdict:
    return judge(outcome, attempts, 1000.0, random.Random(0), SCHEDULE)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_success_is_one(status: int) -> None:
    assert after(Answer(status)).succeeded


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 404, 429, 500, 503, 103])
def test_anything_else_is_tried_again_and_then_given_up(status: int) -> None:
    first, last = after(Answer(status)), after(Answer(status), attempts=2)
    assert first.status == "pending"
    assert 1005 <= first.next_at <= 1005.5
    assert (last.status, last.gone) == ("dead", False)


def test_no_answer_is_a_failure_with_its_reason() -> None:
    assert after("No answer within 15 seconds.").error == "No answer within 15 seconds."


def test_410_is_the_end() -> None:
    verdict = after(Answer(410))
    assert (verdict.status, verdict.gone) == ("dead", True)


def test_retry_after_puts_it_off() -> None:
    assert after(Answer(503, retry_after="60")).next_at == 1060
