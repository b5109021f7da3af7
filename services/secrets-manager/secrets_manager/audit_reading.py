"""Reading the audit, and verifying it whole."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from fountain_common.db import Database
from sqlalchemy import Row, Select, select
from sqlalchemy.orm import Session

from secrets_manager.anchors import Anchors
from secrets_manager.audit_chain import ChainKey, Entry, Head, Record
from secrets_manager.audit_segments import Segments
from secrets_manager.audit_verify import KnownHead, Report, Verification
from secrets_manager.models_audit import AuditHeadRow, AuditRow

_CHUNK: Final = 1000
_ENTRY: Final = tuple(getattr(AuditRow, name) for name in Entry._fields)
_COLUMNS: Final = (AuditRow.seq, *_ENTRY, AuditRow.previous, AuditRow.hash, AuditRow.mac)


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
    """Lists and verifies records."""

    def __init__(self, db: Database, chain: ChainKey, anchors: Anchors, segments: Segments) -> None:
        self._db, self._chain, self._anchors, self._segments = db, chain, anchors, segments

    async def page(self, wanted: Filter, before: int | None, limit: int) -> list[Record]:
        """Return records, newest first, older than position `before`."""
        query = select(*_COLUMNS).order_by(AuditRow.seq.desc()).limit(limit)
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
        if wanted.since is not None:
            query = query.where(AuditRow.at >= wanted.since)
        if wanted.until is not None:
            query = query.where(AuditRow.at < wanted.until)
        if before is not None:
            query = query.where(AuditRow.seq < before)
        rows = await self._db.read(lambda session: session.execute(query).all(), long=True)
        return [_record(row) for row in rows]

    async def verify(self, elsewhere: list[KnownHead]) -> Report:
        """Go over the whole chain, in one snapshot and off the event loop.

        Args:
            elsewhere: heads that are remembered outside of this machine, in the event log for example.
        """
        return await self._db.read(lambda session: self.verify_in(session, elsewhere), long=True)

    def verify_in(self, session: Session, elsewhere: list[KnownHead]) -> Report:
        """Do what `verify` does, inside a transaction."""
        start, sealed = self._segments.known(session)
        known = [*self._anchors.known(session), *self._head(session), *sealed, *elsewhere]
        later = [item for item in known if item.head.seq > start.seq or not item.genuine]
        verification = Verification(self._chain, start, later)
        query = select(*_COLUMNS).order_by(AuditRow.seq).execution_options(yield_per=_CHUNK)
        for row in session.execute(query):
            verification.feed(_record(row))
        return verification.finish()

    async def range(self, first: int, last: int) -> AsyncIterator[Record]:
        """Go over some records in order, a few at a time."""
        while first <= last:
            query = (
                select(*_COLUMNS)
                .where(AuditRow.seq.between(first, last))
                .order_by(AuditRow.seq)
                .limit(_CHUNK)
            )
            rows = await self._db.read(partial(_all, query), long=True)
            if not rows:
                return
            for row in rows:
                yield _record(row)
            first = rows[-1][0] + 1

    def _head(self, session: Session) -> list[KnownHead]:
        row = session.execute(select(AuditHeadRow.seq, AuditHeadRow.hash, AuditHeadRow.mac)).one_or_none()
        if row is None:
            return []
        head = Head(row.seq, row.hash)
        return [KnownHead("head", head, genuine=self._chain.head_mac(head) == row.mac)]


def _record(row: Row[Any]) -> Record:
    seq, *entry, previous, digest, mac = tuple(row)
    return Record(seq, Entry(*entry), previous, digest, mac)


def _all(query: Select[Any], session: Session) -> Sequence[Row[Any]]:
    return session.execute(query).all()
