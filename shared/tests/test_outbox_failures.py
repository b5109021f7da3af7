"""Receivers that are away, refuse, or lose their answers; a database that fails."""

import asyncio
import threading
from typing import Any

import pytest
from fountain_common.db import Database
from fountain_common.errors import Conflict, Problem, Unavailable
from fountain_common.outbox import (
    LONGEST_WAIT_SECONDS,
    OUTBOX,
    OutboxDispatcher,
    enqueue_all,
    wait_seconds,
)
from fountain_common.outbox_rows import count_waiting
from fountain_common.publisher import TokenNotHonoured
from hypothesis import given
from hypothesis import strategies as st
from outbox_receiver import Receiver, Together, left, telling, until_left
from prometheus_client import CollectorRegistry
from sqlalchemy import select
from sqlalchemy.orm import Session


async def test_with_the_receiver_away_events_wait_in_order(outbox: Database, monkeypatch) -> None:
    monkeypatch.setattr("fountain_common.outbox.FIRST_WAIT_SECONDS", 0.005)
    receiver, registry = Receiver(), CollectorRegistry()
    receiver.error = Unavailable("Away.")
    dispatcher = OutboxDispatcher(outbox, receiver, registry=registry)
    await dispatcher.start()
    await outbox.write(telling("a", "b"))
    await receiver.until(lambda: receiver.attempts >= 3)
    assert receiver.accepted == []
    assert await dispatcher.waiting() == 2
    assert registry.get_sample_value("fountain_outbox_waiting") == 2
    receiver.error = None
    dispatcher.wake()
    await until_left(outbox)
    await dispatcher.stop()
    assert receiver.accepted == ["a", "b"]
    assert registry.get_sample_value("fountain_outbox_failures_total") >= 2


async def test_one_handed_on_twice_keeps_its_id(outbox: Database) -> None:
    receiver, seen = Receiver(), []

    async def accept_and_lose(*args: Any, **named: Any) -> None:
        await receiver(*args, **named)
        seen.append(named["idempotency_key"])
        if len(seen) == 1:
            raise ConnectionError("the answer was lost")

    dispatcher = OutboxDispatcher(outbox, accept_and_lose)
    await dispatcher.start()
    await outbox.write(telling("a"))
    await until_left(outbox)
    await dispatcher.stop()
    assert len(seen) == 2
    assert len(set(seen)) == 1


async def test_what_was_accepted_before_another_failed_is_not_handed_on_again(outbox: Database) -> None:
    receiver = Receiver()

    async def fails_at_the_third(type: str, *rest: Any, **more: Any) -> None:  # noqa: A002 - see Publish
        if type == "c" and receiver.attempts < 3:
            receiver.attempts += 1
            raise Unavailable("away")
        await receiver(type, *rest, **more)

    await outbox.write(telling("a", "b", "c", "d"))
    dispatcher = OutboxDispatcher(outbox, fails_at_the_third)
    await dispatcher.start()
    await receiver.until(lambda: len(receiver.accepted) == 4)
    await dispatcher.stop()
    assert receiver.accepted == ["a", "b", "c", "d"]
    assert await left(outbox) == []


async def test_one_that_is_refused_for_good_is_set_aside_and_holds_up_nobody(outbox: Database, log) -> None:
    receiver, registry = Receiver(), CollectorRegistry()
    receiver.refuses = {"bad"}
    dispatcher = OutboxDispatcher(outbox, receiver, registry=registry)
    await dispatcher.start()
    await outbox.write(telling("a", "bad", "b"))
    await until_left(outbox, "bad")
    await dispatcher.stop()
    assert receiver.accepted == ["a", "b"]
    assert await dispatcher.waiting() == 0
    reason = await outbox.read(lambda session: session.scalar(select(OUTBOX.c.refused)))
    assert reason == "403 Forbidden"
    assert registry.get_sample_value("fountain_outbox_refused_total") == 1
    assert any(line["event"] == "outbox_event_refused" for line in log())


async def test_one_whose_id_stands_for_something_else_is_set_aside_too(outbox: Database) -> None:
    receiver = Receiver()

    async def conflict(type: str, *rest: Any, **more: Any) -> None:  # noqa: A002 - see Publish
        if type == "bad":
            raise Conflict("Something else is stored under this id.")
        await receiver(type, *rest, **more)

    await outbox.write(telling("bad", "b"))
    dispatcher = OutboxDispatcher(outbox, conflict)
    await dispatcher.start()
    await until_left(outbox, "bad")
    await dispatcher.stop()
    assert receiver.accepted == ["b"]


class Flaky:
    """A database of which some reads or writes fail at first."""

    def __init__(self, db: Database, *, reads: int = 0, writes: int = 0) -> None:
        self._db, self.reads, self.writes = db, reads, writes
        self.listen = db.listen

    async def read(self, fn: Any, **how: Any) -> Any:
        if self.reads:
            self.reads -= 1
            raise Unavailable("Locked.")
        return await self._db.read(fn, **how)

    async def write_rows(self, fn: Any, **how: Any) -> Any:
        if self.writes:
            self.writes -= 1
            raise Unavailable("Locked.")
        return await self._db.write_rows(fn, **how)


async def test_a_failing_database_does_not_end_the_dispatcher(outbox: Database, monkeypatch) -> None:
    monkeypatch.setattr("fountain_common.outbox.FIRST_WAIT_SECONDS", 0.005)
    receiver, flaky = Receiver(), Flaky(outbox, reads=2)
    dispatcher = OutboxDispatcher(flaky, receiver)  # type: ignore[arg-type]
    await outbox.write(telling("a"))
    await dispatcher.start()
    await until_left(outbox)
    await dispatcher.stop()
    assert (receiver.accepted, flaky.reads) == (["a"], 0)


async def test_what_was_accepted_and_cannot_be_removed_is_not_handed_on_again(
    outbox: Database, monkeypatch, log
) -> None:
    monkeypatch.setattr("fountain_common.outbox.FIRST_WAIT_SECONDS", 0.005)
    receiver, flaky = Receiver(), Flaky(outbox, writes=3)
    dispatcher = OutboxDispatcher(flaky, receiver)  # type: ignore[arg-type]
    await outbox.write(telling("a"))
    await dispatcher.start()
    await receiver.until(lambda: receiver.accepted)
    await outbox.write(telling("b"))
    await receiver.until(lambda: len(receiver.accepted) == 2)
    assert await dispatcher.waiting() == 0
    await until_left(outbox)
    await dispatcher.stop()
    assert receiver.accepted == ["a", "b"]
    assert any(line["event"] == "outbox_not_cleared" for line in log())


async def test_what_was_accepted_is_gone_once_the_dispatcher_has_stopped(
    outbox: Database, monkeypatch
) -> None:
    monkeypatch.setattr("fountain_common.outbox.REMOVAL_SECONDS", 3600.0)
    receiver = Receiver()
    dispatcher = OutboxDispatcher(outbox, receiver)
    await outbox.write(telling("a", "b"))
    await dispatcher.start()
    await receiver.until(lambda: len(receiver.accepted) == 2)
    assert await left(outbox) == ["a", "b"]
    await dispatcher.stop()
    assert await left(outbox) == []


async def test_one_who_is_killed_before_it_removed_hands_on_again_under_the_same_id(
    outbox: Database, monkeypatch
) -> None:
    monkeypatch.setattr("fountain_common.outbox.REMOVAL_SECONDS", 3600.0)
    receiver = Receiver()
    await outbox.write(telling("a"))
    for turn in (1, 2):
        # The first is never stopped, as one that was killed.
        dispatcher = OutboxDispatcher(outbox, receiver)
        await dispatcher.start()
        await receiver.until(lambda turn=turn: len(receiver.accepted) == turn)
    await dispatcher.stop()
    assert len(set(receiver.keys)) == 1


async def test_while_too_much_cannot_be_removed_nothing_more_is_handed_on(
    outbox: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fountain_common.outbox.FIRST_WAIT_SECONDS", 0.005)
    monkeypatch.setattr("fountain_common.outbox.SOONEST_SECONDS", 0.005)
    monkeypatch.setattr("fountain_common.outbox.LONGEST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr("fountain_common.outbox.MOST_UNREMOVED", 3)
    receiver, flaky = Receiver(), Flaky(outbox, writes=10_000)
    dispatcher = OutboxDispatcher(flaky, receiver)  # type: ignore[arg-type]
    await outbox.write(telling("a", "b", "c"))
    await dispatcher.start()
    await receiver.until(lambda: len(receiver.accepted) == 3)
    await outbox.write(telling("d"))
    before = flaky.writes
    async with asyncio.timeout(5):
        while flaky.writes > before - 10:
            await asyncio.sleep(0.002)
    assert (receiver.accepted, await dispatcher.waiting()) == (["a", "b", "c"], 1)
    flaky.writes = 0
    await receiver.until(lambda: receiver.accepted == ["a", "b", "c", "d"])
    await dispatcher.stop()


async def test_what_was_accepted_and_is_still_there_is_not_counted_as_waiting(
    outbox: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fountain_common.outbox.REMOVAL_SECONDS", 3600.0)
    counted_by: list[threading.Thread] = []

    def count(session: Session) -> int:
        counted_by.append(threading.current_thread())
        return count_waiting(session)

    monkeypatch.setattr("fountain_common.outbox.count_waiting", count)
    receiver = Together()
    dispatcher = OutboxDispatcher(outbox, receiver, publish_all=receiver.all)
    await outbox.write(lambda session: enqueue_all(session, [("e", None, {}) for _ in range(100)]))
    await outbox.write(telling("single"))
    await dispatcher.start()
    await receiver.until(lambda: len(receiver.accepted) == 101)
    receiver.error = Unavailable("Away.")
    await outbox.write(lambda session: enqueue_all(session, [("e", None, {}) for _ in range(7)]))
    assert await dispatcher.waiting() == 7
    assert counted_by, "and never on the event loop: the whole table is read"
    assert threading.main_thread() not in counted_by
    await dispatcher.stop()


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_waits_grow_to_a_bound_and_are_spread(failures: int, jitter: float) -> None:
    wait = wait_seconds(failures, jitter)
    assert 0.1 <= wait <= LONGEST_WAIT_SECONDS
    assert wait_seconds(failures + 1, jitter) >= wait
    assert wait_seconds(failures, 0) * 2 == pytest.approx(wait_seconds(failures, 1))


@pytest.mark.parametrize(
    ("error", "waits"),
    [(TokenNotHonoured(), [1, 2, *[3] * 13, 4, 5]), (Unavailable(), list(range(1, 18)))],
)
async def test_a_receiver_that_does_not_honour_our_token_is_asked_often_for_some_seconds(
    outbox: Database, monkeypatch: pytest.MonkeyPatch, error: Problem, waits: list[int]
) -> None:
    waited: list[int] = []

    def wait(failures: int, _jitter: float) -> float:
        waited.append(failures)
        return 0.001

    monkeypatch.setattr("fountain_common.outbox.wait_seconds", wait)
    receiver = Receiver()
    receiver.error = error
    dispatcher = OutboxDispatcher(outbox, receiver)
    await dispatcher.start()
    await outbox.write(telling("a"))
    await receiver.until(lambda: receiver.attempts > 17)
    await dispatcher.stop()
    assert waited[:17] == waits


async def test_once_the_receiver_is_known_to_be_back_waits_begin_anew(
    outbox: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[int] = []

    def wait(failures: int, _jitter: float) -> float:
        waited.append(failures)
        return 0.001 if failures < 3 else 3600.0

    monkeypatch.setattr("fountain_common.outbox.wait_seconds", wait)
    receiver = Receiver()
    receiver.error = Unavailable()
    dispatcher = OutboxDispatcher(outbox, receiver)
    await dispatcher.start()
    await outbox.write(telling("a"))
    await receiver.until(lambda: receiver.attempts == 3)
    dispatcher.wake()
    await receiver.until(lambda: receiver.attempts == 6)
    await dispatcher.stop()
    assert waited[:5] == [1, 2, 3, 1, 2]


@pytest.mark.parametrize(("soonest", "asked_again"), [(3600.0, False), (0.01, True)])
async def test_new_events_do_not_make_a_receiver_that_is_away_be_asked_all_the_time(
    outbox: Database, monkeypatch: pytest.MonkeyPatch, soonest: float, asked_again: bool
) -> None:
    monkeypatch.setattr("fountain_common.outbox.FIRST_WAIT_SECONDS", LONGEST_WAIT_SECONDS)
    monkeypatch.setattr("fountain_common.outbox.SOONEST_SECONDS", soonest)
    receiver = Receiver()
    receiver.error = Unavailable("Away.")
    dispatcher = OutboxDispatcher(outbox, receiver)
    await dispatcher.start()
    await outbox.write(telling("a"))
    await receiver.until(lambda: receiver.attempts)
    for _ in range(10):
        await outbox.write(telling("more"))
    if asked_again:
        await receiver.until(lambda: receiver.attempts > 1)
    else:
        assert receiver.attempts == 1
        dispatcher.wake()
        await receiver.until(lambda: receiver.attempts == 2)
    await dispatcher.stop()
