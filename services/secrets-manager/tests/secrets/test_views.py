"""What is kept in memory of secrets that were read: bounded, by what it really takes."""

import tracemalloc

import pytest
from secrets_manager.views import Views, _weight
from secrets_world import World

pytestmark = pytest.mark.anyio

MANY = 200


async def test_what_is_kept_takes_no_more_memory_than_is_counted(sm: World) -> None:
    names = [f"grown-{number}" for number in range(MANY)]
    for name in names:
        await sm.create(name)
    views = Views(sm.db, sm.parts.reading.vault)
    for name in names:
        await views.get(name)  # whatever is made once, of a statement for example, is there by now
    views.clear()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for name in names:
            await views.get(name)
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    counted = sum(_weight(view) for view in map(views.held, names) if view is not None)
    assert views._bytes == counted
    assert taken <= counted


async def test_the_least_recently_read_is_dropped_once_there_is_no_room(sm: World) -> None:
    for name in ("one", "two", "three"):
        await sm.create(name)
    room = Views(sm.db, sm.parts.reading.vault)
    for name in ("one", "two"):
        await room.get(name)
    views = Views(sm.db, sm.parts.reading.vault, max_bytes=room._bytes + 50)
    for name in ("one", "two", "one", "three"):
        assert await views.get(name) is not None
    assert views.held("one") is not None
    assert views.held("two") is None
    assert await views.get("two") is not None
