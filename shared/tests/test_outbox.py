import asyncio
from pathlib import Path
from typing import Any

import pytest
from fountain_common.db import Database, new_metadata
from fountain_common.errors import Conflict, Forbidden, Unavailable
from fountain_common.outbox import (
    LONGEST_WAIT_SECONDS,
    OUTBOX,
    OutboxDispatcher,
    enqueue,
    outbox_table,
    wait_seconds,
)
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from sqlalchemy import select
from sqlalchemy.orm import Session


class Receiver:
    """Accepts events, unless told otherwise, and remembers what it was handed."""

    def __init__(self) -> None:
        self.accepted: list[str] = []
        self.keys: list[str] = []
        self.attempts = 0
        self.error: Exception | None = None
        self.refuses: set[str] = set()
        self._changed = asyncio.Event()

    async def __call__(
        self,
        type: str,  # noqa: A002 - the CloudEvents name of the field
        subject: str | None,
        data: Any,
        *,
        idempotency_key: str,
        recipient: str | None,
    ) -> None:
        self.attempts += 1
        self._changed.set()
        if type in self.refuses:
            raise Forbidden("Not you.")
        if self.error is not None:
            raise self.error
        self.accepted.append(type)
        self.keys.append(idempotency_key)

    async def until(self, true: Any) -> None:
        async with asyncio.timeout(5):
            while not true():
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture
def outbox(db: Database) -> Database:
    metadata = new_metadata()
    outbox_table(metadata)
    metadata.create_all(db.engine)
    return db


def telling(*types: str) -> Any:
    def tell(session: Session) -> None:
        for name in types:
            enqueue(session, name, "subject", {"version": 1})

    return tell


async def _left(db: Database) -> list[str]:
    return await db.read(
        lambda session: list(session.scalars(select(OUTBOX.c.type).order_by(OUTBOX.c.position)))
    )


async def _until_left(db: Database, *types: str) -> None:
    async with asyncio.timeout(5):
        while await _left(db) != list(types):
            await asyncio.sleep(0.005)


async def test_events_are_handed_on_in_order_and_then_gone(outbox: Database) -> None:
    receiver = Receiver()
    dispatcher = OutboxDispatcher(outbox, receiver)
    await dispatcher.start()
    await outbox.write(telling("a", "b"))
    await outbox.write(telling("c"))
    await _until_left(outbox)
    await dispatcher.stop()
    assert receiver.accepted == ["a", "b", "c"]


async def test_an_event_is_kept_only_with_the_change_it_tells_of(outbox: Database) -> None:
    def fail(session: Session) -> None:
        enqueue(session, "never")
        raise Conflict

    with pytest.raises(Conflict):
        await outbox.write(fail)
    assert await _left(outbox) == []


async def test_what_an_earlier_process_left_is_handed_on_at_the_start(tmp_path: Path) -> None:
    metadata, url = new_metadata(), f"sqlite:///{tmp_path}/x.db"
    outbox_table(metadata)
    first = Database(url)
    metadata.create_all(first.engine)
    await first.write(telling("a", "b"))
    await first.close()
    second, receiver = Database(url), Receiver()
    dispatcher = OutboxDispatcher(second, receiver)
    await dispatcher.start()
    await receiver.until(lambda: receiver.accepted == ["a", "b"])
    await dispatcher.stop()
    await second.close()


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
    await _until_left(outbox)
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
    await _until_left(outbox)
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
    assert await _left(outbox) == []


async def test_one_that_is_refused_for_good_is_set_aside_and_holds_up_nobody(outbox: Database, log) -> None:
    receiver, registry = Receiver(), CollectorRegistry()
    receiver.refuses = {"bad"}
    dispatcher = OutboxDispatcher(outbox, receiver, registry=registry)
    await dispatcher.start()
    await outbox.write(telling("a", "bad", "b"))
    await _until_left(outbox, "bad")
    await dispatcher.stop()
    assert receiver.accepted == ["a", "b"]
    assert await dispatcher.waiting() == 0
    reason = await outbox.read(lambda session: session.scalar(select(OUTBOX.c.refused)))
    assert reason == "403 Forbidden"
    assert registry.get_sample_value("fountain_outbox_refused_total") == 1
    assert any(line["event"] == "outbox_event_refused" for line in log())


async def test_a_failing_database_does_not_end_the_dispatcher(outbox: Database, monkeypatch) -> None:
    monkeypatch.setattr("fountain_common.outbox.FIRST_WAIT_SECONDS", 0.005)
    receiver, broken = Receiver(), [True]

    class Flaky:
        listen = outbox.listen
        read = outbox.read

        async def write_rows(self, fn: Any) -> Any:
            if broken[0]:
                broken[0] = False
                raise Unavailable("Locked.")
            return await outbox.write_rows(fn)

    dispatcher = OutboxDispatcher(Flaky(), receiver)  # type: ignore[arg-type]
    await outbox.write(telling("a"))
    await dispatcher.start()
    await _until_left(outbox)
    await dispatcher.stop()
    assert receiver.accepted == ["a", "a"], "handed on again, with the same id"
    assert len(set(receiver.keys)) == 1


async def test_stopping_before_starting_is_nothing(outbox: Database) -> None:
    await OutboxDispatcher(outbox, Receiver()).stop()


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_waits_grow_to_a_bound_and_are_spread(failures: int, jitter: float) -> None:
    wait = wait_seconds(failures, jitter)
    assert 0.1 <= wait <= LONGEST_WAIT_SECONDS
    assert wait_seconds(failures + 1, jitter) >= wait
    assert wait_seconds(failures, 0) * 2 == pytest.approx(wait_seconds(failures, 1))


async def test_one_whose_id_stands_for_something_else_is_set_aside_too(outbox: Database) -> None:
    receiver = Receiver()

    async def conflict(type: str, *rest: Any, **more: Any) -> None:  # noqa: A002 - see Publish
        if type == "bad":
            raise Conflict("Something else is stored under this id.")
        await receiver(type, *rest, **more)

    await outbox.write(telling("bad", "b"))
    dispatcher = OutboxDispatcher(outbox, conflict)
    await dispatcher.start()
    await _until_left(outbox, "bad")
    await dispatcher.stop()
    assert receiver.accepted == ["b"]


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


async def test_two_dispatchers_of_one_database_keep_the_order_and_store_nothing_twice(
    outbox: Database,
) -> None:
    stored: dict[str, str] = {}

    async def known_by_its_key(type: str, *_rest: Any, idempotency_key: str, **_more: Any) -> None:  # noqa: A002
        await asyncio.sleep(0)
        stored.setdefault(idempotency_key, type)

    names = [f"e{number:03}" for number in range(200)]
    await outbox.write(telling(*names))
    pair = [OutboxDispatcher(outbox, known_by_its_key) for _ in range(2)]
    for one in pair:
        await one.start()
    await _until_left(outbox)
    for one in pair:
        await one.stop()
    assert list(stored.values()) == names


class Together(Receiver):
    """Takes several events in one request too, all or none."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[str]] = []

    async def all(self, events: Any) -> None:
        self.attempts += 1
        types = [event["type"] for event in events]
        self.batches.append(types)
        if self.error is not None:
            raise self.error
        if not self.refuses.isdisjoint(types):
            raise Forbidden("Not you.")
        self.accepted += types
        self.keys += [event["id"] for event in events]
        self._changed.set()


async def test_events_that_wait_together_go_in_one_request(outbox: Database) -> None:
    receiver = Together()
    await outbox.write(telling("a", "b", "c"))
    dispatcher = OutboxDispatcher(outbox, receiver, publish_all=receiver.all)
    await dispatcher.start()
    await _until_left(outbox)
    await outbox.write(telling("d"))
    await _until_left(outbox)
    await dispatcher.stop()
    assert receiver.batches == [["a", "b", "c"]]
    assert receiver.accepted == ["a", "b", "c", "d"]


async def test_one_that_is_refused_keeps_none_of_the_others_back(outbox: Database) -> None:
    receiver, registry = Together(), CollectorRegistry()
    receiver.refuses = {"bad"}
    await outbox.write(telling("a", "bad", "c"))
    dispatcher = OutboxDispatcher(outbox, receiver, publish_all=receiver.all, registry=registry)
    await dispatcher.start()
    await _until_left(outbox, "bad")
    await dispatcher.stop()
    assert receiver.accepted == ["a", "c"]
    assert registry.get_sample_value("fountain_outbox_refused_total") == 1
    assert registry.get_sample_value("fountain_outbox_accepted_total") == 2


async def test_a_batch_whose_answer_is_lost_is_handed_on_again_under_the_same_ids(
    outbox: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fountain_common.outbox.FIRST_WAIT_SECONDS", 0.005)
    receiver = Together()
    seen: list[list[str]] = []

    async def lose_the_first_answer(events: Any) -> None:
        seen.append([event["id"] for event in events])
        await receiver.all(events)
        if len(seen) == 1:
            raise Unavailable("The answer was lost.")

    await outbox.write(telling("a", "b"))
    dispatcher = OutboxDispatcher(outbox, receiver, publish_all=lose_the_first_answer)
    await dispatcher.start()
    await _until_left(outbox)
    await dispatcher.stop()
    assert seen[0] == seen[1]
