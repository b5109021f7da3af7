"""Whether the rows that give power are those that were written last.

A row's own code holds for ever: also that of a key before it was revoked, or of a grant before it was
withdrawn. So each change leaves a code over all rows in its audit record, which cannot be put back unseen:
the newest record says what there must be now.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

import orjson
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from secrets_manager.audit import Audit, Who
from secrets_manager.audit_chain import record_hash
from secrets_manager.audit_reading import COLUMNS, record_of
from secrets_manager.audit_verify import Finding
from secrets_manager.models_audit import AuditRow
from secrets_manager.models_identity import ApiKeyRow, IdentityRow
from secrets_manager.models_secrets import GrantRow
from secrets_manager.row_mac import RowMacs

DETAIL: Final = "state"
UNKNOWN: Final = ""
ACCEPTED: Final = "rows:accept"
ACTIONS: Final = (
    "identities:create",
    "identities:update",
    "identities:revoke",
    "keys:create",
    "keys:enable",
    "keys:disable",
    "keys:revoke",
    "grants:write",
    "backups:restore",
    "epochs:begin",
    "audit:prune",
    ACCEPTED,
)
"""Who writes a record of these says what the rows are afterwards."""
_MODELS: Final = (IdentityRow, ApiKeyRow, GrantRow)
_CHARACTERS: Final = 32
_KEPT: Final = "rows-are-as-recorded"


def state_of(macs: RowMacs, session: Session) -> str:
    """Return 32 hex digits over all identities, keys and grants as they are in this transaction."""
    digests = (_digest(session.scalars(select(model.mac))) for model in _MODELS)
    return macs.sign("row-state", *digests).hex()[:_CHARACTERS]


class RowState:
    """Compares the rows with what the newest record says of them.

    Whoever changes rows calls `begin`, and puts `said` into the record of the change. What was not as it must
    be is not made right by a change that follows: that one says nothing that rows could agree with, until
    somebody at the machine has looked and accepts them.
    """

    def __init__(self, macs: RowMacs, audit: Audit) -> None:
        self._macs, self._audit = macs, audit

    def begin(self, session: Session) -> None:
        """Look at the rows before they are changed in this transaction."""
        session.info[_KEPT] = self.finding(session) is None

    def said(self, session: Session) -> str:
        """Return what the record of the change says of the rows."""
        return state_of(self._macs, session) if session.info.get(_KEPT, False) else UNKNOWN

    def adopt(self, session: Session) -> None:
        """Take the rows as they are, if nothing was ever said of them: an older version wrote them."""
        newest = self._newest(session)
        if newest is not None and newest[1] is None:
            self.accept(session, None)

    def accept(self, session: Session, caller: Who) -> None:
        """Take the rows as they are, whatever was said of them."""
        detail = {DETAIL: state_of(self._macs, session)}
        self._audit.record(session, caller=caller, action=ACCEPTED, target="identities", detail=detail)

    def finding(self, session: Session) -> Finding | None:
        """Return what is wrong with the rows; None if they are as the newest record says."""
        newest = self._newest(session)
        if newest is None or newest[1] is None or newest[1] == state_of(self._macs, session):
            return None
        seq, _ = newest
        return Finding("rows", seq, seq, "identities, keys or grants are not as they were after this record")

    def _newest(self, session: Session) -> tuple[int, str | None] | None:
        """Return the newest record about rows, and what it says: None if an older version wrote it."""
        # One by one, by the index: together, the database would go back through all reads.
        places = [
            session.scalar(select(func.max(AuditRow.seq)).where(AuditRow.action == name)) for name in ACTIONS
        ]
        seq = max((place for place in places if place is not None), default=None)
        if seq is None:
            return None
        record = record_of(session.execute(select(*COLUMNS).where(AuditRow.seq == seq)).one())
        whole = record_hash(record.seq, record.entry, record.previous) == record.hash
        if not (whole and self._audit.chain.made(record)):
            return seq, UNKNOWN
        said: str | None = orjson.loads(record.entry.detail).get(DETAIL)
        return seq, said


def _digest(codes: Iterable[bytes]) -> bytes:
    return hashlib.sha256(b"".join(sorted(codes))).digest()
