"""Reading the audit."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from fountain_common.db import Database
from sqlalchemy import Row, Select, select
from sqlalchemy.orm import Session

from secrets_manager.audit_chain import Entry, Record
from secrets_manager.eras import newest_first
from secrets_manager.models_audit import AuditRow

_CHUNK: Final = 1000
_ENTRY: Final = tuple(getattr(AuditRow, name) for name in Entry._fields)
COLUMNS: Final = (AuditRow.seq, *_ENTRY, AuditRow.previous, AuditRow.hash, AuditRow.mac)
"""What `record_of` makes a record of."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records; None means any. `target` also finds what is below it."""

    caller: str | None = None
    action: str | None = None
    target: str | None = None
    outcome: str | None = None
    since: float | None = None
    until: float | None = None


class AuditReading:
    """Lists records."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def page(self, wanted: Filter, before: int | None, limit: int) -> list[Record]:
        """Return records, newest first, older than position `before`."""
        query = _query(wanted, binary=self._db.is_sqlite)
        by_era = wanted.caller is not None or wanted.target is not None

        def read(session: Session) -> Sequence[Row[Any]]:
            if by_era:
                return newest_first(session, query, AuditRow.seq, limit=limit, before=before)
            bounded = query if before is None else query.where(AuditRow.seq < before)
            return session.execute(bounded.order_by(AuditRow.seq.desc()).limit(limit)).all()

        return [record_of(row) for row in await self._db.read(read, long=True)]

    async def range(self, first: int, last: int) -> AsyncIterator[Record]:
        """Go over some records in order, a few at a time."""
        while first <= last:
            query = (
                select(*COLUMNS).where(AuditRow.seq.between(first, last)).order_by(AuditRow.seq).limit(_CHUNK)
            )
            rows = await self._db.read(partial(_all, query), long=True)
            if not rows:
                return
            for row in rows:
                yield record_of(row)
            first = rows[-1][0] + 1


def record_of(row: Row[Any]) -> Record:
    """Make a record of a row of `COLUMNS`."""
    seq, *entry, previous, digest, mac = tuple(row)
    return Record(seq, Entry(*entry), previous, digest, mac)


def _query(wanted: Filter, *, binary: bool) -> Select[Any]:
    """Return a query for these records; `binary` is a database that compares text byte by byte."""
    query = select(*COLUMNS)
    exact = {
        AuditRow.caller: wanted.caller,
        AuditRow.action: wanted.action,
        AuditRow.outcome: wanted.outcome,
    }
    for column, value in exact.items():
        if value is not None:
            query = query.where(column == value)
    if wanted.target is not None:
        below = AuditRow.target.startswith(f"{wanted.target}/", autoescape=True)
        query = query.where((AuditRow.target == wanted.target) | below)
        if binary:
            # What an index can find: from the name itself to where names go on with what follows the slash.
            query = query.where(AuditRow.target >= wanted.target, AuditRow.target < f"{wanted.target}0")
    if wanted.since is not None:
        query = query.where(AuditRow.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(AuditRow.at < wanted.until)
    return query


def _all(query: Select[Any], session: Session) -> Sequence[Row[Any]]:
    return session.execute(query).all()
