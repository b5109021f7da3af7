"""Events leave in order, and only with the change that they tell of."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from fountain_common.db import Database, new_metadata
from fountain_common.errors import Conflict
from fountain_common.outbox import OutboxDispatcher, enqueue, outbox_table
from outbox_receiver import Receiver, left, telling, until_left
from sqlalchemy.orm import Session


async def test_events_are_handed_on_in_order_and_then_gone(outbox: Database) -> None:
    receiver = Receiver()
    dispatcher = OutboxDispatcher(outbox, receiver)
    await dispatcher.start()
    await outbox.write(telling("a", "b"))
    await outbox.write(telling("c"))
    await until_left(outbox)
    await dispatcher.stop()
    assert receiver.accepted == ["a", "b", "c"]


async def test_an_event_is_kept_only_with_the_change_it_tells_of(outbox: Database) -> None:
    def fail(session: Session) -> None:
        enqueue(session, "never")
        raise Conflict

    with pytest.raises(Conflict):
        await outbox.write(fail)
    assert await left(outbox) == []


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


async def test_stopping_before_starting_is_nothing(outbox: Database) -> None:
    await OutboxDispatcher(outbox, Receiver()).stop()


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
    await until_left(outbox)
    for one in pair:
        await one.stop()
    assert list(stored.values()) == names
