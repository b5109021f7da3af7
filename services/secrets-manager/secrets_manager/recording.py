"""Audit records of changes, written in the transaction of the change."""

from dataclasses import dataclass

from fountain_common.auth import Caller
from fountain_common.requests import RequestContext, current
from sqlalchemy.orm import Session

from secrets_manager.audit import Audit


@dataclass(frozen=True)
class Record:
    """Writes the record of one change; the details are names and versions, never values."""

    audit: Audit
    caller: Caller | None
    action: str
    target: str
    request: RequestContext | None

    def __call__(self, session: Session, **detail: object) -> None:
        """Record in this transaction."""
        self.audit.record_all(session, [self.of(**detail)])

    def of(self, **detail: object) -> dict[str, object]:
        """Return what `Audit.record_all` takes, for those who write several records at once."""
        return {
            "caller": self.caller,
            "action": self.action,
            "target": self.target,
            "outcome": "allowed",
            "detail": detail,
            "request": self.request,
        }


def recorder(audit: Audit, caller: Caller | None, action: str, target: str) -> Record:
    """Return what records a change by this caller; None is the service itself.

    To be called in the request: the transaction runs in another thread, which knows of no request.
    """
    return Record(audit, caller, action, target, current())
