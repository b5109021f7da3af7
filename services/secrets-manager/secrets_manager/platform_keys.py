"""The long-lived keys of the secrets manager itself.

The CA's and the audit's, made at the first start, sealed.
"""

from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.orm import Session

from secrets_manager.keyring import Keyring
from secrets_manager.models_trust import PlatformKeyRow
from secrets_manager.trust import Authority

PURPOSE: Final = "platform-key"
CA: Final = "ca"
AUDIT: Final = "audit"


def authority(session: Session, keyring: Keyring, now: float) -> Authority:
    """Return the CA, made if there is none; in the writer's thread."""
    certificate, key = _kept(session, keyring, CA, now, lambda: _new_authority(now))
    return Authority.load(certificate, key)


def audit_key(session: Session, keyring: Keyring, now: float) -> Ed25519PrivateKey:
    """Return the key that signs the audit's heads, made if there is none; in the writer's thread."""
    _, key = _kept(
        session, keyring, AUDIT, now, lambda: ("", Ed25519PrivateKey.generate().private_bytes_raw())
    )
    return Ed25519PrivateKey.from_private_bytes(key)


def _new_authority(now: float) -> tuple[str, bytes]:
    made = Authority.generate(now)
    return made.pem, made.private_bytes()


def _kept(
    session: Session, keyring: Keyring, name: str, now: float, make: Callable[[], tuple[str, bytes]]
) -> tuple[str, bytes]:
    row = session.get(PlatformKeyRow, name)
    if row is not None:
        return row.certificate, keyring.open(PURPOSE, name, row.sealed)
    certificate, key = make()
    sealed = keyring.seal(PURPOSE, name, key)
    session.add(PlatformKeyRow(name=name, certificate=certificate, sealed=sealed, created_at=now))
    return certificate, key
