"""The audit is gone over by itself, piece by piece."""

import asyncio

import pytest
from secrets_manager.audit_verify import Finding, Report
from secrets_manager.scrub import PIECE, ROUND_SECONDS, Scrub


class Chain:
    """An audit of so many records, one of which may be wrong."""

    def __init__(self, records: int) -> None:
        self.records, self.wrong, self.now = records, 0, 0.0
        self.asked: list[int | None] = []
        self.scrub = Scrub(self.verify, monotonic=lambda: self.now)

    async def verify(self, after: int | None, count: int) -> Report:
        assert count == PIECE
        self.asked.append(after)
        first, last = (after or 0) + 1, (after or 0) + count
        report = Report(next=None if last >= self.records else last)
        if first <= self.wrong <= last:
            report.findings.append(Finding("edited", self.wrong, self.wrong, ""))
        return report

    def look(self, seconds: float = 10.0) -> bool:
        self.now += seconds
        return asyncio.run(self.scrub.intact())


def test_a_short_audit_is_gone_over_whole_once_a_round() -> None:
    chain = Chain(100)
    assert [chain.look() for _ in range(10)] == [True] * 10
    assert chain.asked == [None]
    chain.look(ROUND_SECONDS)
    assert chain.asked == [None, None]


def test_a_long_audit_is_gone_over_in_pieces_one_a_look() -> None:
    chain = Chain(3 * PIECE)
    for _ in range(5):
        chain.look()
    assert chain.asked == [None, PIECE, 2 * PIECE]


def test_a_round_that_takes_longer_than_its_time_is_followed_by_the_next_at_once() -> None:
    chain = Chain(2 * PIECE)
    chain.look()
    chain.look(2 * ROUND_SECONDS)
    chain.look()
    assert chain.asked == [None, PIECE, None]


@pytest.mark.parametrize("wrong", [1, PIECE + 1, 3 * PIECE])
def test_what_is_wrong_anywhere_is_told_until_a_whole_round_finds_nothing(wrong: int) -> None:
    chain = Chain(3 * PIECE)
    chain.wrong = wrong
    seen = [chain.look() for _ in range(3)]
    assert seen == [number * PIECE < wrong - PIECE for number in range(3)]
    chain.wrong = 0
    chain.look(ROUND_SECONDS)
    assert [chain.look(), chain.look()] == [False, True]
