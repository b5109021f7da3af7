"""A long audit is verified in parts, a few rows at a time, and nothing escapes between two parts."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fountain_common.db import Database
from fountain_common.errors import TooManyRequests
from secrets_manager import verifying
from secrets_manager.anchors import Anchors
from secrets_manager.audit import Audit
from secrets_manager.audit_segments import Segments
from secrets_manager.audit_verify import Report
from secrets_manager.core import MIGRATIONS
from secrets_manager.identities import Actor
from secrets_manager.row_mac import RowMacs
from secrets_manager.row_state import RowState
from secrets_manager.verifying import CHUNK, Verifying

RECORDS = 3 * CHUNK + 17


class Trail:
    """An audit with anchors, in a database of its own."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "audit.db"
        self.db = Database(f"sqlite:///{self.file}")
        self.db.migrate(MIGRATIONS)
        self.audit = Audit(self.db, b"k" * 32)
        key = Ed25519PrivateKey.generate()
        self.anchors = Anchors(self.db, key, self.audit.chain, folder)
        self.segments = Segments(self.db, self.audit, key, rows=RowState(RowMacs(b"m" * 32), self.audit))
        self.verifying = Verifying(self.db, self.audit.chain, self.anchors, self.segments)

    async def write(self, count: int) -> None:
        entry = {
            "caller": "ada", "action": "secrets:read", "target": "secrets/x",
            "outcome": "allowed", "detail": None, "request": None,
        }  # fmt: skip
        await self.db.write(lambda session: self.audit.record_all(session, [entry] * count))

    async def fill(self) -> None:
        """Records with an anchor here and there."""
        for part in (CHUNK - 3, 5, RECORDS - CHUNK - 2):
            await self.write(part)
            await self.anchors.anchor()

    def tamper(self, *statements: str) -> None:
        with sqlite3.connect(self.file) as connection:
            for statement in statements:
                connection.execute(statement)

    async def in_parts(self, size: int) -> list[Report]:
        parts = [await self.verifying.verify(limit=size)]
        while parts[-1].next is not None:
            parts.append(await self.verifying.verify(after=parts[-1].next, limit=size))
        return parts


class Meanwhile:
    """A database to which something happens before the n-th read."""

    def __init__(self, db: Database, nth: int, happens: Callable[[], Awaitable[None]]) -> None:
        self._db, self._nth, self._happens = db, nth, happens

    async def read(self, fn: Any, *, long: bool = False) -> Any:
        self._nth -= 1
        if self._nth == 0:
            await self._happens()
        return await self._db.read(fn, long=long)


@pytest.fixture
def trail(tmp_path: Path) -> Iterator[Trail]:
    trail = Trail(tmp_path)
    asyncio.run(trail.fill())
    yield trail
    asyncio.run(trail.db.close())


def found(*reports: Report) -> set[tuple[str, int, int]]:
    return {(one.kind, one.first, one.last) for report in reports for one in report.findings}


def test_a_whole_one_is_intact_and_every_head_is_compared(trail: Trail) -> None:
    report = asyncio.run(trail.verifying.verify())
    assert (report.intact, report.records, report.head.seq) == (True, RECORDS, RECORDS)
    assert (report.next, report.heads_checked) == (None, 3 + 2)


def test_others_have_their_turn_between_two_reads(trail: Trail) -> None:
    turns = 0
    at_reads: list[int] = []

    class Watched:
        async def read(self, fn: Any, *, long: bool = False) -> Any:
            if not long:
                at_reads.append(turns)
            return await trail.db.read(fn, long=long)

    async def verify() -> None:
        nonlocal turns
        watched: Any = Watched()
        over = Verifying(watched, trail.audit.chain, trail.anchors, trail.segments)
        verifying = asyncio.ensure_future(over.verify())
        while not verifying.done():
            turns += 1
            await asyncio.sleep(0)

    asyncio.run(verify())
    assert len(at_reads) > RECORDS // CHUNK
    assert len(set(at_reads)) == len(at_reads)


@pytest.mark.parametrize("size", [3, CHUNK - 1, CHUNK, CHUNK + 1, RECORDS, 2 * RECORDS])
def test_in_parts_of_any_size_it_is_gone_over_once(trail: Trail, size: int) -> None:
    parts = asyncio.run(trail.in_parts(size))
    assert sum(part.records for part in parts) == RECORDS
    assert found(*parts) == set()
    assert (parts[0].first, parts[-1].head.seq) == (1, RECORDS)
    assert [part.next for part in parts[:-1]] == [part.head.seq for part in parts[:-1]]


@pytest.mark.parametrize("seq", [1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, RECORDS])
@pytest.mark.parametrize(
    ("kind", "statement"),
    [
        ("edited", "UPDATE audit_records SET caller='eve' WHERE seq={seq}"),
        ("edited", "UPDATE audit_records SET mac=zeroblob(16) WHERE seq={seq}"),
        ("removed", "DELETE FROM audit_records WHERE seq={seq}"),
    ],
    ids=["content", "code", "row"],
)
def test_what_was_done_at_the_edge_of_a_part_is_found(
    trail: Trail, kind: str, statement: str, seq: int
) -> None:
    trail.tamper(statement.format(seq=seq))
    expected = {"truncated" if (kind, seq) == ("removed", RECORDS) else kind}
    for reports in (
        [asyncio.run(trail.verifying.verify())],
        asyncio.run(trail.in_parts(CHUNK)),
        asyncio.run(trail.in_parts(CHUNK // 2)),
    ):
        assert {name for name, first, last in found(*reports) if first <= seq <= last} == expected
        assert {(first, last) for _, first, last in found(*reports)} == {(seq, seq)}


def test_a_row_put_before_the_first_is_found(trail: Trail) -> None:
    copied = "INSERT INTO audit_records SELECT -5, {} FROM audit_records WHERE seq=2"
    with sqlite3.connect(trail.file) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(audit_records)")][1:]
    trail.tamper(copied.format(", ".join(columns)))
    assert not asyncio.run(trail.verifying.verify()).intact
    assert not asyncio.run(trail.in_parts(CHUNK))[0].intact


def test_an_anchor_is_compared_in_whatever_part_it_falls(trail: Trail) -> None:
    trail.tamper(f"UPDATE audit_anchors SET signature=zeroblob(64) WHERE seq={CHUNK - 3}")
    assert found(*asyncio.run(trail.in_parts(100))) == {("anchor", CHUNK - 3, CHUNK - 3)}


def test_records_that_are_cut_off_with_their_head_are_missed_by_their_anchor(trail: Trail) -> None:
    """The anchor file remembers them even when everything in the database was put back."""
    trail.tamper(f"DELETE FROM audit_records WHERE seq > {CHUNK + 2}", "DELETE FROM audit_anchors")
    parts = asyncio.run(trail.in_parts(CHUNK))
    assert {kind for kind, _, _ in found(*parts)} == {"truncated"}
    assert parts[0].intact


def test_one_is_verified_at_a_time_and_what_is_written_meanwhile_is_gone_over_too(trail: Trail) -> None:
    async def story() -> Report:
        running = asyncio.create_task(trail.verifying.verify())
        await asyncio.sleep(0)
        with pytest.raises(TooManyRequests):
            await trail.verifying.verify()
        await trail.write(CHUNK)
        await trail.anchors.anchor()
        report = await running
        await trail.verifying.verify(limit=1)
        return report

    report = asyncio.run(story())
    assert report.intact
    assert report.records >= RECORDS


def test_what_is_pruned_meanwhile_is_not_missed(trail: Trail) -> None:
    actor = Actor("tester")

    async def story() -> Any:
        segment = await trail.segments.seal(2 * CHUNK, actor)
        await trail.segments.exported(segment.number, actor)

        async def prune() -> None:
            await trail.segments.prune(segment.number, actor)

        meanwhile: Any = Meanwhile(trail.db, 3, prune)
        return await Verifying(meanwhile, trail.audit.chain, trail.anchors, trail.segments).look()

    assert asyncio.run(story()).findings == []


@pytest.mark.parametrize("after", [RECORDS - 1, RECORDS, RECORDS + 1, 2**62])
def test_behind_the_end_there_is_nothing_wrong(trail: Trail, after: int) -> None:
    report = asyncio.run(trail.verifying.verify(after=after))
    assert (report.intact, report.records) == (True, max(0, RECORDS - after))


@pytest.mark.parametrize(("late", "more"), [(0.0, 0.0), (0.002, 0.04), (0.05, 0.2), (30.0, 0.2)])
def test_where_others_want_the_loop_the_next_rows_come_later(
    monkeypatch: pytest.MonkeyPatch, late: float, more: float
) -> None:
    """In a wait of 10 milliseconds that takes so much longer."""
    now, slept = 100.0, []

    async def sleep(seconds: float) -> None:
        nonlocal now
        slept.append(seconds)
        now += seconds + late

    monkeypatch.setattr(verifying.asyncio, "sleep", sleep)
    monkeypatch.setattr(verifying, "monotonic", lambda: now)
    asyncio.run(verifying._rest(0.01))
    assert slept == [0.01, pytest.approx(more)]
