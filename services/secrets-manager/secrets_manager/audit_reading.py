"""Reading the audit, and verifying it whole."""

from dataclasses import dataclass
from typing import Any, Final

from fountain_common.db import Database
from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from secrets_manager.anchors import Anchors
from secrets_manager.audit_chain import GENESIS, ChainKey, Entry, Head, Record
from secrets_manager.audit_verify import KnownHead, Report, Verification
from secrets_manager.models_audit import AuditHeadRow, AuditRow, AuditSegmentRow

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

    def __init__(self, db: Database, chain: ChainKey, anchors: Anchors) -> None:
        self._db, self._chain, self._anchors = db, chain, anchors

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
        known = [*self._anchors.known(session), *self._head(session), *elsewhere]
        pruned = session.scalars(
            select(AuditSegmentRow)
            .where(AuditSegmentRow.pruned_at.is_not(None))
            .order_by(AuditSegmentRow.last.desc())
        ).first()
        start = Head(pruned.last, pruned.hash) if pruned else Head(0, GENESIS)
        verification = Verification(self._chain, start, [item for item in known if item.head.seq > start.seq])
        query = select(*_COLUMNS).order_by(AuditRow.seq).execution_options(yield_per=_CHUNK)
        for row in session.execute(query):
            verification.feed(_record(row))
        return verification.finish()

    def _head(self, session: Session) -> list[KnownHead]:
        row = session.execute(select(AuditHeadRow.seq, AuditHeadRow.hash, AuditHeadRow.mac)).one_or_none()
        if row is None:
            return []
        head = Head(row.seq, row.hash)
        return [KnownHead("head", head, genuine=self._chain.head_mac(head) == row.mac)]


def _record(row: Row[Any]) -> Record:
    seq, *entry, previous, digest, mac = tuple(row)
    return Record(seq, Entry(*entry), previous, digest, mac)
