"""Audit records of changes, written in the transaction of the change."""

from typing import Protocol

from fountain_common.auth import Caller
from fountain_common.requests import current
from sqlalchemy.orm import Session

from secrets_manager.audit import Audit


class Record(Protocol):
    """Writes the record of one change; the details are names and versions, never values."""

    def __call__(self, session: Session, **detail: object) -> None:
        """Record in this transaction."""


def recorder(audit: Audit, caller: Caller | None, action: str, target: str) -> Record:
    """Return what records a change by this caller; None is the service itself.

    To be called in the request: the transaction runs in another thread, which knows of no request.
    """
    request = current()

    def record(session: Session, **detail: object) -> None:
        audit.record(
            session,
            caller=caller,
            action=action,
            target=target,
            outcome="allowed",
            detail=detail,
            request=request,
        )

    return record
