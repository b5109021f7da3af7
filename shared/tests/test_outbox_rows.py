"""The outbox's rows: what is not fit to be an event is refused with the change that wrote it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from fountain_common.db import Database
from fountain_common.errors import PayloadTooLarge, Problem, Unprocessable
from fountain_common.event import MAX_EVENT_BYTES, require_fit
from fountain_common.outbox_rows import (
    OUTBOX,
    SET_ASIDE_DAYS,
    count_waiting,
    enqueue,
    enqueue_all,
    first_waiting,
    set_aside,
)
from sqlalchemy import select, update


async def waiting(db: Database) -> int:
    return await db.read(count_waiting)


@pytest.mark.parametrize(
    ("kind", "event"),
    [
        (PayloadTooLarge, {"type": "a.b", "data": {"x": "x" * MAX_EVENT_BYTES}}),
        (PayloadTooLarge, {"type": "a.b", "data": {"x": "\n" * (MAX_EVENT_BYTES // 2)}}),
        (PayloadTooLarge, {"type": "a.b", "data": {"x": "\u00e4" * (MAX_EVENT_BYTES // 2)}}),
        (Unprocessable, {"type": "a..b"}),
        (Unprocessable, {"type": "a" * 300}),
        (Unprocessable, {"type": "a.b", "subject": "s" * 256}),
        (Unprocessable, {"type": "a.b", "subject": "line\nbreak"}),
        (Unprocessable, {"type": "a.b", "recipient": "No Name"}),
        (Unprocessable, {"type": "a.b", "data": {"x": float("nan")}}),
        (Unprocessable, {"type": "a.b", "data": {"x": object()}}),
        (Unprocessable, {"type": "a.b", "data": {"x": "\ud800"}}),
        (Unprocessable, {"type": "a.b", "data": {"x": 10**30}}),
    ],
)
async def test_what_the_log_would_never_take_is_refused_before_it_waits(
    outbox: Database, kind: type[Problem], event: dict[str, Any]
) -> None:
    with pytest.raises(kind):
        await outbox.write(lambda session: enqueue(session, **event))
    assert await waiting(outbox) == 0


async def test_one_that_is_too_large_says_so_and_takes_the_others_of_its_change_with_it(
    outbox: Database,
) -> None:
    events = [("a.b", "s", {"n": 1}), ("a.b", "s", {"n": "x" * MAX_EVENT_BYTES})]
    with pytest.raises(PayloadTooLarge, match="at most 65536 bytes"):
        await outbox.write(lambda session: enqueue_all(session, events))
    assert await waiting(outbox) == 0


async def test_what_is_just_fit_waits_and_is_handed_on_as_it_was_said(outbox: Database) -> None:
    data = {"text": "x" * (MAX_EVENT_BYTES - 1000), "none": None}
    await outbox.write(lambda session: enqueue(session, "a.b", "", data, recipient="two-factor"))
    ((entry,), _) = await outbox.read(first_waiting)
    (event,) = entry.events
    assert event == {"id": event["id"], "type": "a.b", "data": data, "recipient": "two-factor"}
    assert len(orjson.dumps(event)) < MAX_EVENT_BYTES


async def test_what_was_set_aside_long_ago_goes_and_what_waits_stays(outbox: Database) -> None:
    for name in ("old.bad", "old.good", "new.bad"):
        await outbox.write(lambda session, name=name: enqueue(session, name))
    old = datetime.now(UTC) - timedelta(days=SET_ASIDE_DAYS + 1)
    await outbox.write(
        lambda session: session.execute(
            update(OUTBOX).where(OUTBOX.c.type.startswith("old")).values(created_at=old)
        )
    )
    entries, _ = await outbox.read(first_waiting)
    for entry in (entries[0], entries[2]):
        await outbox.write(
            lambda session, entry=entry: set_aside(session, entry, entry.events[0], "403 Forbidden")
        )
    left = await outbox.read(lambda session: session.execute(select(OUTBOX.c.type, OUTBOX.c.refused)).all())
    assert [tuple(row) for row in left] == [("old.good", None), ("new.bad", "403 Forbidden")]


def test_what_fits_may_lie_one_level_deeper_on_its_way() -> None:
    fit = 0
    data: dict[str, Any] = {}
    for level in range(1, 300):
        data = {"a": data}
        try:
            require_fit("a.b", None, data)
        except Unprocessable:
            break
        orjson.dumps([data])
        fit = level
    assert fit >= 250
