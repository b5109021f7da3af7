"""Events that wait together are handed on together."""

from typing import Any

import orjson
import pytest
from fountain_common.db import Database
from fountain_common.errors import Unavailable
from fountain_common.outbox import OUTBOX, OutboxDispatcher, enqueue_all
from fountain_common.outbox_rows import BATCH, count_waiting
from outbox_receiver import Together, left, telling, until_left
from prometheus_client import CollectorRegistry
from sqlalchemy import select


async def test_events_that_wait_together_go_in_one_request(outbox: Database) -> None:
    receiver = Together()
    await outbox.write(telling("a", "b", "c"))
    dispatcher = OutboxDispatcher(outbox, receiver, publish_all=receiver.all)
    await dispatcher.start()
    await until_left(outbox)
    await outbox.write(telling("d"))
    await until_left(outbox)
    await dispatcher.stop()
    assert receiver.batches == [["a", "b", "c"]]
    assert receiver.accepted == ["a", "b", "c", "d"]


async def test_large_events_go_in_as_many_requests_as_take_them(outbox: Database) -> None:
    sizes: list[int] = []
    receiver = Together()

    async def weigh(events: bytes) -> None:
        sizes.append(len(events))
        await receiver.all(events)

    large = {"text": "x" * 60_000}
    await outbox.write(lambda session: enqueue_all(session, [(f"e.n{n}", None, large) for n in range(40)]))
    dispatcher = OutboxDispatcher(outbox, receiver, publish_all=weigh)
    await dispatcher.start()
    await until_left(outbox)
    await dispatcher.stop()
    assert receiver.accepted == [f"e.n{n}" for n in range(40)]
    assert max(sizes) < 1_000_000
    assert len(sizes) == 3


async def test_one_that_is_refused_keeps_none_of_the_others_back(outbox: Database) -> None:
    receiver, registry = Together(), CollectorRegistry()
    receiver.refuses = {"bad"}
    await outbox.write(telling("a", "bad", "c"))
    dispatcher = OutboxDispatcher(outbox, receiver, publish_all=receiver.all, registry=registry)
    await dispatcher.start()
    await until_left(outbox, "bad")
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

    async def lose_the_first_answer(events: bytes) -> None:
        seen.append([event["id"] for event in orjson.loads(events)])
        await receiver.all(events)
        if len(seen) == 1:
            raise Unavailable("The answer was lost.")

    await outbox.write(telling("a", "b"))
    dispatcher = OutboxDispatcher(outbox, receiver, publish_all=lose_the_first_answer)
    await dispatcher.start()
    await until_left(outbox)
    await dispatcher.stop()
    assert seen[0] == seen[1]


def written(count: int) -> Any:
    events = [(f"e.n{number}", "subject", {"n": number}) for number in range(count)]
    return lambda session: enqueue_all(session, events)


async def test_events_that_are_written_together_are_one_row_and_handed_on_in_their_order(
    outbox: Database,
) -> None:
    receiver = Together()
    await outbox.write(written(100))
    assert await left(outbox) == [BATCH]
    assert await outbox.read(count_waiting) == 100
    await outbox.write(telling("single"))
    assert await outbox.read(count_waiting) == 101
    dispatcher = OutboxDispatcher(outbox, receiver, publish_all=receiver.all)
    await dispatcher.start()
    await until_left(outbox)
    await dispatcher.stop()
    assert receiver.batches == [[*(f"e.n{number}" for number in range(100)), "single"]]
    assert len(set(receiver.keys)) == 101


async def test_rows_are_handed_on_as_many_as_one_request_takes(outbox: Database) -> None:
    receiver = Together()
    for count in (200, 200, 200, 600):
        await outbox.write(written(count))
    dispatcher = OutboxDispatcher(outbox, receiver, publish_all=receiver.all)
    await dispatcher.start()
    await until_left(outbox)
    await dispatcher.stop()
    assert [len(batch) for batch in receiver.batches] == [400, 200, 500, 100]
    assert receiver.accepted[-600:] == [f"e.n{number}" for number in range(600)]


async def test_of_a_batch_the_refused_alone_is_set_aside_however_often_it_is_handed_on(
    outbox: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fountain_common.outbox.FIRST_WAIT_SECONDS", 0.005)
    receiver, lost = Together(), [True]
    receiver.refuses = {"e.n0", "e.n2"}

    async def lose_one(type: str, *rest: Any, **more: Any) -> None:  # noqa: A002 - see Publish
        if type == "e.n3" and lost.pop():
            lost.append(False)
            raise Unavailable("Away for a moment.")
        await receiver(type, *rest, **more)

    await outbox.write(written(4))
    dispatcher = OutboxDispatcher(outbox, lose_one, publish_all=receiver.all)
    await dispatcher.start()
    await until_left(outbox, "e.n0", "e.n2")
    await dispatcher.stop()
    assert receiver.accepted == ["e.n1", "e.n1", "e.n3"], "the whole row is handed on again, by the same ids"
    assert len(set(receiver.keys)) == 2
    assert await outbox.read(count_waiting) == 0
    rows = await outbox.read(lambda session: session.execute(select(OUTBOX.c.data, OUTBOX.c.refused)).all())
    assert [tuple(row) for row in rows] == [({"n": 0}, "403 Forbidden"), ({"n": 2}, "403 Forbidden")]
