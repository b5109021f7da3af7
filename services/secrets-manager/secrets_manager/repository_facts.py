"""Facts about the whole store."""

import secrets
from typing import Final

from sqlalchemy import literal, select
from sqlalchemy.orm import Session

from secrets_manager.models_base import PlatformFact

_EPOCH = "epoch"
_ANCHORED = "anchored"


EPOCH: Final = select(PlatformFact.value).where(PlatformFact.name == literal(_EPOCH)).scalar_subquery()
"""The epoch as a column of another statement; null before the first start."""


def epoch(session: Session) -> str:
    """Return the epoch: it changes when a backup is restored, and with it every ETag. Empty before the
    first start.
    """
    row = session.get(PlatformFact, _EPOCH)
    return "" if row is None else row.value


def new_epoch(session: Session) -> str:
    """Begin another epoch and return it."""
    value = secrets.token_hex(4)
    session.merge(PlatformFact(name=_EPOCH, value=value))
    return value


def anchored_through(session: Session) -> int:
    """Return the record of the newest anchor that is known to be in the event log; 0 if none is."""
    row = session.get(PlatformFact, _ANCHORED)
    return 0 if row is None else int(row.value)


def set_anchored_through(session: Session, seq: int) -> None:
    """Note that the anchor of this record is in the event log."""
    session.merge(PlatformFact(name=_ANCHORED, value=str(seq)))
