"""The epoch, and when it began.

Another one begins where a history does not go on: with a restore, or when somebody at the machine says so.
The audit knows when, so that whoever can write to the database cannot make one begin.
"""

from dataclasses import dataclass
from typing import Final

import orjson
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from secrets_manager import repository_facts
from secrets_manager.audit_chain import ChainKey, Record, record_hash
from secrets_manager.audit_reading import COLUMNS, record_of
from secrets_manager.models_audit import AuditRow

RESTORED: Final = "backups:restore"
BEGUN: Final = "epochs:begin"
DETAIL: Final = "epoch"
_FIRST: Final = 1


@dataclass(frozen=True, slots=True)
class Epoch:
    """Its name, and when it began in seconds since 1970; 0 if no record says so."""

    name: str
    began_at: float


def current_epoch(session: Session, chain: ChainKey) -> Epoch:
    """Return the epoch of the database.

    The first one began with the first record; any other with the record of what began it.
    """
    name = repository_facts.epoch(session)
    # One by one, by the index.
    places = [
        session.scalar(select(func.max(AuditRow.seq)).where(AuditRow.action == action))
        for action in (RESTORED, BEGUN)
    ]
    newest = max((place for place in places if place is not None), default=None)
    record = _genuine(session, chain, _FIRST if newest is None else newest)
    if record is None:
        return Epoch(name, 0.0)
    if newest is not None and orjson.loads(record.entry.detail).get(DETAIL) != name:
        return Epoch(name, 0.0)
    return Epoch(name, record.entry.at)


def _genuine(session: Session, chain: ChainKey, seq: int) -> Record | None:
    row = session.execute(select(*COLUMNS).where(AuditRow.seq == seq)).one_or_none()
    if row is None:
        return None
    record = record_of(row)
    whole = record_hash(record.seq, record.entry, record.previous) == record.hash
    return record if whole and chain.made(record) else None
