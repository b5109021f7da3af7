"""Events that wait together are handed on together."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pytest
from fountain_common.db import Database
from fountain_common.errors import Unavailable
from fountain_common.outbox import OutboxDispatcher, enqueue_all
from outbox_receiver import Together, telling, until_left
from prometheus_client import CollectorRegistry


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

    async def weigh(events: Sequence[Mapping[str, Any]]) -> None:
        sizes.append(len(orjson.dumps(list(events))))
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

    async def lose_the_first_answer(events: Any) -> None:
        seen.append([event["id"] for event in events])
        await receiver.all(events)
        if len(seen) == 1:
            raise Unavailable("The answer was lost.")

    await outbox.write(telling("a", "b"))
    dispatcher = OutboxDispatcher(outbox, receiver, publish_all=lose_the_first_answer)
    await dispatcher.start()
    await until_left(outbox)
    await dispatcher.stop()
    assert seen[0] == seen[1]
