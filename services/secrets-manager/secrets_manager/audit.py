"""Writing the audit: with a change, in its transaction.

For a read, in a commit that it shares with others.
"""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, cast

import orjson
from fountain_common.db import Database
from fountain_common.errors import Unavailable
from fountain_common.gathering import gathered
from fountain_common.logging import get_logger
from fountain_common.redaction import redact_text
from fountain_common.requests import RequestContext
from fountain_common.statements import Prepared
from fountain_common.tokens import Caller
from prometheus_client import CollectorRegistry, Counter
from sqlalchemy import Connection, Table, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from secrets_manager.audit_chain import GENESIS, ChainKey, Entry, Head
from secrets_manager.models_audit import AuditHeadRow, AuditRow

SELF: Final = "secrets-manager"
_MAX_TEXT: Final = 200
_UNWRITABLE: Final = "The audit cannot be written now, so that nothing is given out; try again."
_RECORDS_BEHIND: Final = "the audit has records behind its head"
_BATCH: Final = 500
_HASH_CHARACTERS: Final = 16
_HEAD: Final = cast("Table", AuditHeadRow.__table__)
_READ_HEAD: Final = select(_HEAD.c.seq, _HEAD.c.hash, _HEAD.c.mac)
_FIRST_HEAD: Final = insert(_HEAD)
_INSERT: Final = Prepared(insert(cast("Table", AuditRow.__table__)))
_MOVE_HEAD: Final = Prepared(
    update(_HEAD)
    .where(_HEAD.c.seq == bindparam("old_seq"), _HEAD.c.hash == bindparam("old_hash"))
    .values(seq=bindparam("new_seq"), hash=bindparam("new_hash"), mac=bindparam("new_mac"))
)

Who = Caller | str | None
"""Who did it: a caller, the name of one who has no token yet, or None for the secrets manager itself."""


class TamperedAuditError(Unavailable):
    """The audit's head in the database, or what lies behind it, was not written here: nothing follows it.

    Nor is anything done that a record would have to tell of. Callers hear that it cannot be done now, as they
    do of a full disk; what was found is for the log.
    """

    def __init__(self, found: str) -> None:
        super().__init__(_UNWRITABLE)
        self.args = (found,)


class Audit:
    """The one writer of the chain.

    Args:
        db: where it lies.
        key: 32 bytes, for the codes of records and for keyed hashes.
        registry: takes `fountain_audit_*`.
        clock: unix seconds.
    """

    def __init__(
        self,
        db: Database,
        key: bytes,
        *,
        registry: CollectorRegistry | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._db, self._clock = db, clock
        self._hash_key = hmac.digest(key, b"values", hashlib.sha256)
        self.chain = ChainKey(hmac.digest(key, b"chain", hashlib.sha256))
        self._newest: Head | None = None
        self._waiting: list[tuple[Entry, asyncio.Future[None]]] = []
        self._flusher: asyncio.Task[None] | None = None
        self._written = Counter(
            "fountain_audit_records", "Audit records committed for reads.", registry=registry
        )
        self._not_modified = Counter(
            "fountain_audit_not_modified", "Conditional reads answered 304.", registry=registry
        )

    def record(
        self,
        session: Session,
        *,
        caller: Who,
        action: str,
        target: str,
        outcome: str = "allowed",
        detail: Mapping[str, Any] | None = None,
        request: RequestContext | None = None,
    ) -> None:
        """Write a record into the transaction of the change it tells of; in the writer's thread."""
        self._write_along(session, [self._entry(caller, action, target, outcome, detail, request)])

    def record_all(self, session: Session, records: Iterable[Mapping[str, Any]]) -> None:
        """Write records, each as `record` takes them, into the transaction of the changes they tell of."""
        entries = [self._entry(**record) for record in records]
        if entries:
            self._write_along(session, entries)

    async def append(
        self,
        *,
        caller: Who,
        action: str,
        target: str,
        outcome: str = "allowed",
        detail: Mapping[str, Any] | None = None,
        request: RequestContext | None = None,
    ) -> None:
        """Write a record and return once it is committed; those that come in meanwhile share the next commit.

        Raises:
            Unavailable: it was not written, so that what it tells of must not happen.
        """
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((self._entry(caller, action, target, outcome, detail, request), written))
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush(), name="audit")
        await written

    def count_not_modified(self, target: str) -> None:
        """Count a conditional read that gave nothing away."""
        self._not_modified.inc()

    def keyed_hash(self, value: str) -> str:
        """Return 16 hex digits by which two values can be compared, and which tell nothing about either."""
        return hmac.digest(self._hash_key, value.encode(), hashlib.sha256).hex()[:_HASH_CHARACTERS]

    def check(self, session: Session) -> None:
        """Raise if a record could not follow; in the writer's thread, which also proves that it can write."""
        head = self._head(session.connection())
        # One further away than the next is no hindrance yet; it was not written here all the same.
        if session.execute(select(AuditRow.seq).where(AuditRow.seq > head.seq).limit(1)).first() is not None:
            raise TamperedAuditError(_RECORDS_BEHIND)

    async def close(self) -> None:
        """Write what waits."""
        if self._flusher is not None:
            await self._flusher

    def _entry(
        self,
        caller: Who,
        action: str,
        target: str,
        outcome: str,
        detail: Mapping[str, Any] | None,
        request: RequestContext | None,
    ) -> Entry:
        name, key_id = (caller.subject, caller.key_id) if isinstance(caller, Caller) else (caller or SELF, "")
        said = orjson.dumps(detail, option=orjson.OPT_SORT_KEYS).decode() if detail else "{}"
        if outcome != "allowed":
            # Who was refused may have put a key where a name belongs, and nothing is ever taken out of here.
            target, said = redact_text(target), redact_text(said)
        return Entry(
            at=round(self._clock(), 6),
            caller=name[:_MAX_TEXT],
            key_id=key_id,
            action=action,
            target=target[:_MAX_TEXT],
            outcome=outcome,
            detail=said,
            client=request.client if request else "",
            through_edge=request.through_edge if request else False,
            request_id=request.request_id if request else "",
        )

    async def _flush(self) -> None:
        while self._waiting:
            await gathered(lambda: len(self._waiting), _BATCH)
            batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
            entries = [entry for entry, _ in batch]
            try:
                await self._db.write_rows(partial(self._write, entries=entries), quick=len(entries) > 1)
            except Exception as error:  # noqa: BLE001 - whatever it was, those who wait must not go on
                _log_unwritten(error, len(batch))
                _settle(batch, error)
            else:
                self._written.inc(len(batch))
                _settle(batch, None)

    def _write_along(self, session: Session, entries: Sequence[Entry]) -> None:
        try:
            self._write(session.connection(), entries)
        except TamperedAuditError as error:
            _log_unwritten(error, len(entries))
            raise

    def _write(self, connection: Connection, entries: Sequence[Entry]) -> None:
        # The head that was written here last need not be read again, if it still is the one in the database.
        if self._newest is not None and self._follow(connection, self._newest, entries):
            return
        head = self._head(connection)
        if not head.seq:
            values = {"seq": 0, "hash": GENESIS, "mac": self.chain.head_mac(head)}
            connection.execute(_FIRST_HEAD, {"id": 1, **values})
        if not self._follow(connection, head, entries):
            raise TamperedAuditError("the audit's head was altered")

    def _follow(self, connection: Connection, head: Head, entries: Sequence[Entry]) -> bool:
        """Write behind this head, and tell whether it is the one in the database.

        Raises:
            TamperedAuditError: somebody else's record is there. The transaction has to be undone.
        """
        rows, newest = self.chain.append(head, entries)
        moved = {
            "new_seq": newest.seq,
            "new_hash": newest.hash,
            "new_mac": self.chain.head_mac(newest),
            "old_seq": head.seq,
            "old_hash": head.hash,
        }
        if not _MOVE_HEAD.run(connection, [moved]):
            return False
        try:
            _INSERT.run_rows(connection, rows)
        except IntegrityError as error:
            raise TamperedAuditError(_RECORDS_BEHIND) from error
        # Where the transaction is undone, this is no head of the database, and the next write reads that.
        self._newest = newest
        return True

    def _head(self, connection: Connection) -> Head:
        found = connection.execute(_READ_HEAD).one_or_none()
        if found is None:
            if connection.execute(select(AuditRow.seq).limit(1)).first() is not None:
                raise TamperedAuditError("the audit has records and no head")
            return Head(0, GENESIS)
        head = Head(found.seq, found.hash)
        if not hmac.compare_digest(found.mac, self.chain.head_mac(head)):
            raise TamperedAuditError("the audit's head was altered")
        return head


def _log_unwritten(error: Exception, records: int) -> None:
    # Of other errors the log has no message, which may hold values.
    found = {"found": str(error)} if isinstance(error, TamperedAuditError) else {}
    get_logger().error("audit_not_written", records=records, exc_info=error, **found)


def _settle(batch: Sequence[tuple[Entry, asyncio.Future[None]]], error: Exception | None) -> None:
    for _, written in batch:
        if written.done():
            continue
        if error is None:
            written.set_result(None)
        else:
            written.set_exception(Unavailable(_UNWRITABLE))
