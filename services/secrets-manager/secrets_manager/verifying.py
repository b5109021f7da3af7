"""Verifying the audit: a few rows at a time, so that nobody waits for it however long the chain is."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic
from typing import Any, Final

from fountain_common.db import Database
from fountain_common.errors import TooManyRequests
from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from secrets_manager.anchor_standing import Remembered
from secrets_manager.anchors import Anchors
from secrets_manager.audit_chain import ChainKey, Head, Record
from secrets_manager.audit_reading import COLUMNS, record_of
from secrets_manager.audit_segments import Segments
from secrets_manager.audit_verify import Finding, KnownHead, Report, Verification
from secrets_manager.models_audit import AuditHeadRow, AuditRow

CHUNK: Final = 100
"""Rows in one read: a millisecond. On SQLite that is the event loop's own: a thread beside it would take the
interpreter from it, and give it back, at every row."""
_LONGER: Final = 20
_TRIES: Final = 3
_BUSY: Final = "The audit is being verified already, which reads every record. Ask again when that has ended."


class Verifying:
    """Goes over the chain and everything that remembers its heads.

    Args:
        db: where the records lie.
        chain: tells which were made here.
        anchors, segments: remember heads.
        rows: what is wrong with the rows that the newest records tell of.
    """

    def __init__(
        self,
        db: Database,
        chain: ChainKey,
        anchors: Anchors,
        segments: Segments,
        rows: Callable[[Session], Finding | None] = lambda session: None,
    ) -> None:
        self._db, self._chain, self._anchors, self._segments = db, chain, anchors, segments
        self._rows = rows
        self._busy = False

    async def verify(
        self, elsewhere: Sequence[Remembered] = (), *, after: int | None = None, limit: int | None = None
    ) -> Report:
        """Do what `look` does, for one caller at a time.

        Raises:
            TooManyRequests: it is being done already.
        """
        if self._busy:
            raise TooManyRequests(_BUSY, headers={"Retry-After": "10"})
        self._busy = True
        try:
            return await self.look(elsewhere, after=after, limit=limit)
        finally:
            self._busy = False

    async def look(
        self,
        elsewhere: Sequence[Remembered] = (),
        *,
        after: int | None = None,
        limit: int | None = None,
        pause: float = 0.0,
    ) -> Report:
        """Go over the chain, with a turn for everybody else after every few rows.

        Rows that are written meanwhile are gone over too; if some are pruned meanwhile, it begins anew.

        Args:
            elsewhere: anchors that are remembered outside of this machine, in the event log for example.
            after: the position behind which to begin; None for the beginning of the chain.
            limit: how many rows at most; None for all. The report says where to go on.
            pause: seconds for others after every few rows; many times that where others want all of it.
        """
        for last in (False,) * (_TRIES - 1) + (True,):
            begin = await self._db.read(self._segments.start, long=True)
            report = await self._walk(elsewhere, after, limit, pause)
            if report.intact or last or begin == await self._db.read(self._segments.start, long=True):
                return report
        raise AssertionError  # the last turn answers

    async def _walk(
        self, elsewhere: Sequence[Remembered], after: int | None, limit: int | None, pause: float
    ) -> Report:
        verification, behind = await self._db.read(
            lambda session: self._begin(session, elsewhere, after), long=True
        )
        done = 0
        while True:
            count = CHUNK if limit is None else min(CHUNK, limit - done)
            following = await self._db.read(partial(self._go_on, verification, behind, count))
            if following is None:
                return await self._with_rows(verification.finish())
            behind, done = verification.position, done + count
            if done == limit:
                return verification.pause(following)
            await _rest(pause)

    async def _with_rows(self, report: Report) -> Report:
        found = await self._db.read(self._rows, long=True)
        if found is not None:
            report.findings.append(found)
        return report

    def _begin(
        self, session: Session, elsewhere: Sequence[Remembered], after: int | None
    ) -> tuple[Verification, int | None]:
        """Return a verification and the position of its first row's predecessor; None: the first there is."""
        start, sealed = self._segments.known(session)
        outside = [one for one in (self._anchors.beside(), *elsewhere) if one is not None]
        # One of a history that ended before this one began says nothing of it.
        ours = [one.known for one in outside if not self._anchors.standing(session, one).past]
        known = [*ours, *self._head(session), *sealed]
        if after is not None and after > start.seq:
            nearest = select(*COLUMNS).where(AuditRow.seq <= after).order_by(AuditRow.seq.desc()).limit(1)
            row = session.execute(nearest).one_or_none()
            if row is not None and row.seq > start.seq:
                later = [one for one in known if one.head.seq > row.seq]
                return Verification.behind(self._chain, record_of(row), later), row.seq
        later = [one for one in known if one.head.seq > start.seq or not one.genuine]
        return Verification(self._chain, start, later), None

    def _go_on(
        self, verification: Verification, behind: int | None, count: int, session: Session
    ) -> Record | None:
        """Go over the next rows; answers the one behind them, None at the end."""
        query = select(*COLUMNS).order_by(AuditRow.seq).limit(count + 1)
        if behind is not None:
            query = query.where(AuditRow.seq > behind)
        rows: Sequence[Row[Any]] = session.execute(query).all()
        records = [record_of(row) for row in rows]
        following = records.pop() if len(records) > count else None
        through = records[-1].seq if following is not None else None
        verification.remember(self._anchors.known(session, verification.position, through))
        for record in records:
            verification.feed(record)
        return following

    def _head(self, session: Session) -> list[KnownHead]:
        row = session.execute(select(AuditHeadRow.seq, AuditHeadRow.hash, AuditHeadRow.mac)).one_or_none()
        if row is None:
            return []
        head = Head(row.seq, row.hash)
        return [KnownHead("head", head, genuine=self._chain.head_mac(head) == row.mac)]


async def _rest(seconds: float) -> None:
    """Leave the event loop to others; where it is late to come back, for as much longer."""
    due = monotonic() + seconds
    await asyncio.sleep(seconds)
    if seconds:
        await asyncio.sleep(min(_LONGER * seconds, _LONGER * (monotonic() - due)))
