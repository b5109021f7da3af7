"""How often what is written thick and fast is handed on, and removed. The loop's own clock leaps."""

from asyncio import sleep
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from fountain_common.db import Database, new_metadata
from fountain_common.fakes.leaping import LeapingLoop, run
from fountain_common.outbox import OutboxDispatcher, enqueue, outbox_table
from sqlalchemy.orm import Session


class AtOnce:
    """A database whose writes take no time: what a thread does takes none in such a loop."""

    def __init__(self, folder: Path) -> None:
        self._db = Database(f"sqlite:///{folder}/x.db")
        metadata = new_metadata()
        outbox_table(metadata)
        metadata.create_all(self._db.engine)
        self.removals = 0
        self.read = self._db.read
        self.close = self._db.close
        self._wake: Callable[[], None] = lambda: None

    def listen(self, _topic: str, wake: Callable[[], None]) -> Callable[[], None]:
        self._wake = wake
        return lambda: None

    def tell(self, name: str) -> None:
        with Session(self._db.engine) as session, session.begin():
            enqueue(session, name)
        self._wake()

    async def write_rows(self, fn: Any, *, quick: bool) -> None:
        self.removals += 1
        with self._db.engine.begin() as connection:
            fn(connection)


class Told:
    """Notes when which event was accepted, and in how many requests."""

    def __init__(self, loop: LeapingLoop) -> None:
        self._loop = loop
        self.requests = 0
        self.at: dict[str, float] = {}

    async def one(self, type: str, *_: Any, **__: Any) -> None:  # noqa: A002 - see Publish
        self.requests += 1
        self.at[type] = self._loop.time()

    async def all(self, encoded: bytes) -> None:
        self.requests += 1
        for event in orjson.loads(encoded):
            self.at[event["type"]] = self._loop.time()


@pytest.mark.parametrize(
    ("count", "apart", "requests", "removals", "latest"),
    [
        # One goes at once, and what comes soon behind it goes together.
        pytest.param(200, 0.001, 50, 3, 0.006, id="thick"),
        # Each goes at once, and they are removed together.
        pytest.param(50, 0.02, 50, 6, 0.0, id="thin"),
    ],
)
def test_what_is_written_thick_and_fast_is_handed_on_and_removed_together(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    count: int,
    apart: float,
    requests: int,
    removals: int,
    latest: float,
) -> None:
    async def work(loop: LeapingLoop) -> None:
        monkeypatch.setattr("fountain_common.outbox.time", SimpleNamespace(monotonic=loop.time))
        told, db = Told(loop), AtOnce(tmp_path)
        dispatcher = OutboxDispatcher(db, told.one, publish_all=told.all)  # type: ignore[arg-type]
        await dispatcher.start()
        await sleep(1.0)
        written: dict[str, float] = {}
        for number in range(count):
            written[f"e.n{number}"] = loop.time()
            db.tell(f"e.n{number}")
            await sleep(apart)
        await sleep(1.0)
        assert list(told.at) == list(written)
        assert told.at["e.n0"] == written["e.n0"]
        assert max(told.at[name] - at for name, at in written.items()) <= latest
        assert told.requests <= requests
        assert db.removals <= removals
        removed = db.removals
        await dispatcher.stop()
        assert db.removals == removed, "nothing was left to remove"
        await db.close()

    run(work)
