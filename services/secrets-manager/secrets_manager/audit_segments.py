"""Closing a part of the audit, handing it out, and then letting go of it.

A segment is sealed: verified, and signed with the audit's key. Once it has been exported it may be pruned:
its records go, and its end, signed as pruned, is where the chain begins from then on.
"""

import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fountain_common.db import Database
from fountain_common.errors import Conflict, NotFound
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from secrets_manager import repository_facts
from secrets_manager.audit import Audit
from secrets_manager.audit_chain import GENESIS, Head, Record
from secrets_manager.audit_verify import KnownHead
from secrets_manager.identities import Actor
from secrets_manager.models_audit import AuditAnchorRow, AuditRow, AuditSegmentRow
from secrets_manager.row_state import DETAIL, RowState

FORMAT: Final = "fountain-audit-segment-1"


class Segments:
    """Seals, exports and prunes.

    Args:
        key: the audit's own.
        rows: says in the record of a pruning what a pruned one said.
    """

    def __init__(
        self,
        db: Database,
        audit: Audit,
        key: Ed25519PrivateKey,
        *,
        rows: RowState,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._db, self._audit, self._key, self._rows, self._clock = db, audit, key, rows, clock

    async def seal(self, through: int | None, actor: Actor) -> AuditSegmentRow:
        """Close the records up to this position, or all there are; whoever calls has verified the chain."""

        def write(session: Session) -> AuditSegmentRow:
            before = session.scalars(select(AuditSegmentRow).order_by(AuditSegmentRow.number.desc())).first()
            start = Head(before.last, before.hash) if before else Head(0, GENESIS)
            newest = session.scalar(select(func.max(AuditRow.seq))) or 0
            last = session.get(AuditRow, newest if through is None else through)
            if last is None or last.seq <= start.seq:
                raise Conflict(
                    f"There are no records to seal: sealed up to {start.seq}, written up to {newest}."
                )
            row = AuditSegmentRow(
                number=before.number + 1 if before else 1,
                first=start.seq + 1,
                last=last.seq,
                previous=start.hash,
                hash=last.hash,
                sealed_at=self._clock(),
            )
            row.signature = self._key.sign(_message(row, pruned=False))
            session.add(row)
            self._record(session, actor, "audit:seal", row)
            return row

        return await self._db.write(write)

    async def page(self, after: int, limit: int) -> list[AuditSegmentRow]:
        """Return segments behind this number, in order."""
        query = (
            select(AuditSegmentRow)
            .where(AuditSegmentRow.number > after)
            .order_by(AuditSegmentRow.number)
            .limit(limit)
        )
        return await self._db.read(lambda session: list(session.scalars(query)))

    async def get(self, number: int) -> AuditSegmentRow:
        """Return one segment that still has its records."""
        row = await self._db.read(lambda session: session.get(AuditSegmentRow, number))
        if row is None:
            raise NotFound(f"There is no segment {number}.")
        if row.pruned_at is not None:
            raise Conflict(f"The records of segment {number} were pruned. They are in its export.")
        return row

    async def exporting(self, row: AuditSegmentRow, actor: Actor) -> None:
        """Note that somebody begins to be handed a segment."""
        await self._audit.append(
            caller=actor.who,
            action="audit:export",
            target=f"audit/segments/{row.number}",
            detail={"first": row.first, "last": row.last, "phase": "begun"},
            request=actor.request,
        )

    async def exported(self, number: int, actor: Actor) -> None:
        """Note that all of a segment has been handed out."""

        def write(session: Session) -> None:
            row = session.get_one(AuditSegmentRow, number)
            row.exported_at = self._clock()
            self._record(session, actor, "audit:export", row, {"phase": "handed out"})

        await self._db.write(write)

    async def prune(self, number: int, actor: Actor) -> AuditSegmentRow:
        """Delete the records of an exported segment, the oldest first."""

        def write(session: Session) -> AuditSegmentRow:
            self._rows.begin(session)
            row = session.get(AuditSegmentRow, number)
            if row is None:
                raise NotFound(f"There is no segment {number}.")
            if row.pruned_at is not None:
                said = {DETAIL: self._rows.said(session), "again": True}
                self._record(session, actor, "audit:prune", row, said)
                return row
            if row.exported_at is None:
                raise Conflict(f"Segment {number} has not been exported. Export it, and keep the file.")
            older = select(AuditSegmentRow.number).where(
                AuditSegmentRow.number < number, AuditSegmentRow.pruned_at.is_(None)
            )
            if session.scalars(older).first() is not None:
                raise Conflict("An older segment still has its records. Prune that one first.")
            session.execute(delete(AuditRow).where(AuditRow.seq <= row.last))
            # That one and those behind it stay: with them the anchor in the event log is compared.
            anchored = repository_facts.anchored_through(session)
            session.execute(
                delete(AuditAnchorRow).where(AuditAnchorRow.seq <= row.last, AuditAnchorRow.seq < anchored)
            )
            row.pruned_at = self._clock()
            row.signature = self._key.sign(_message(row, pruned=True))
            self._record(session, actor, "audit:prune", row, {DETAIL: self._rows.said(session)})
            return row

        return await self._db.write(write)

    async def sealed_through(self) -> int | None:
        """Return the end of the newest segment; None if there is none."""
        query = select(func.max(AuditSegmentRow.last))
        return await self._db.read(lambda session: session.scalar(query))

    def start(self, session: Session) -> Head:
        """Return where the chain begins."""
        return self.known(session)[0]

    def known(self, session: Session) -> tuple[Head, list[KnownHead]]:
        """Return where the chain begins, and the ends of all later segments."""
        start, known = Head(0, GENESIS), []
        for row in session.scalars(select(AuditSegmentRow).order_by(AuditSegmentRow.number)):
            head, pruned = Head(row.last, row.hash), row.pruned_at is not None
            genuine = self._genuine(row, pruned=pruned)
            if pruned and genuine:
                start = head
            else:
                known.append(KnownHead(f"segment {row.number}", head, genuine))
        return start, known

    def header(self, row: AuditSegmentRow) -> dict[str, Any]:
        """Return the first line of an export: what the segment is, and what verifies it."""
        public = b64encode(self._key.public_key().public_bytes_raw()).decode()
        signature = b64encode(row.signature).decode()
        return {
            **_facts(row, pruned=False),
            "sealed_at": row.sealed_at,
            "signature": signature,
            "public_key": public,
        }

    def _genuine(self, row: AuditSegmentRow, *, pruned: bool) -> bool:
        try:
            self._key.public_key().verify(row.signature, _message(row, pruned=pruned))
        except InvalidSignature:
            return False
        return True

    def _record(
        self,
        session: Session,
        actor: Actor,
        action: str,
        row: AuditSegmentRow,
        said: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        detail = {"first": row.first, "last": row.last, **said}
        target = f"audit/segments/{row.number}"
        self._audit.record(
            session, caller=actor.who, action=action, target=target, detail=detail, request=actor.request
        )


def line_of(record: Record) -> bytes:
    """Return a record as one line of an export, from which its hash can be computed anew."""
    return orjson.dumps(
        {
            "record": [record.seq, *record.entry],
            "previous": record.previous.hex(),
            "hash": record.hash.hex(),
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )


def _facts(row: AuditSegmentRow, *, pruned: bool) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "number": row.number,
        "first": row.first,
        "last": row.last,
        "previous": row.previous.hex(),
        "hash": row.hash.hex(),
        "pruned": pruned,
    }


def _message(row: AuditSegmentRow, *, pruned: bool) -> bytes:
    return orjson.dumps(_facts(row, pruned=pruned), option=orjson.OPT_SORT_KEYS)
