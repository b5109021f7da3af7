"""Idempotency-Key: a request that is sent again does nothing again
(draft-ietf-httpapi-idempotency-key-header).
"""

import hmac
import re
from dataclasses import dataclass
from typing import Final

from fountain_common.errors import BadRequest, Unprocessable
from sqlalchemy import delete
from sqlalchemy.orm import Session

from secrets_manager.models_secrets import IdempotencyRow

KEPT_SECONDS: Final = 24 * 3600.0
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True)
class IdempotencyKey:
    """The key of one request, by its caller; `fingerprint` is a keyed hash of what was asked."""

    caller: str
    key: str
    fingerprint: bytes


@dataclass(frozen=True)
class Done:
    """What a request did: it made this version, by this rotation if not the first."""

    version: int
    rotation_id: str | None
    replayed: bool = False


def check(key: str) -> str:
    """Return the key, or refuse it."""
    if not _KEY.fullmatch(key):
        raise BadRequest("Idempotency-Key has 1 to 255 visible ASCII characters.")
    return key


def recall(session: Session, key: IdempotencyKey | None, now: float) -> Done | None:
    """Return what the request with this key did before; None if there was none in the last 24 hours.

    Unprocessable if it asked for something else.
    """
    row = None if key is None else session.get(IdempotencyRow, (key.caller, key.key))
    if key is None or row is None or row.created_at < now - KEPT_SECONDS:
        return None
    if not hmac.compare_digest(row.fingerprint, key.fingerprint):
        raise Unprocessable("This Idempotency-Key was used for another request. Take a fresh one for each.")
    return Done(row.version, row.rotation_id, replayed=True)


def remember(session: Session, key: IdempotencyKey | None, service_name: str, done: Done, now: float) -> None:
    """Store what a request did, in the transaction that did it."""
    if key is None:
        return
    session.merge(
        IdempotencyRow(
            caller=key.caller,
            key=key.key,
            fingerprint=key.fingerprint,
            service_name=service_name,
            version=done.version,
            rotation_id=done.rotation_id,
            created_at=now,
        )
    )


def prune(session: Session, now: float) -> None:
    """Remove what nobody can ask for any more."""
    session.execute(delete(IdempotencyRow).where(IdempotencyRow.created_at < now - KEPT_SECONDS))
