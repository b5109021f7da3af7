"""Facts about the whole store."""

import secrets

from sqlalchemy.orm import Session

from secrets_manager.models_base import PlatformFact

_EPOCH = "epoch"


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
