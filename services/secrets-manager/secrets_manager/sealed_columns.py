"""The sealed columns that identities and trust keep, for the key ring to wrap anew when it gets a key."""

from typing import Final

from secrets_manager import platform_keys, signing_key_store
from secrets_manager.keyring_store import SealedColumn
from secrets_manager.models_trust import PlatformKeyRow, SigningKeyRow

SEALED: Final = (
    SealedColumn(PlatformKeyRow, "sealed", platform_keys.PURPOSE, lambda row: row.name),
    SealedColumn(SigningKeyRow, "sealed", signing_key_store.PURPOSE, lambda row: row.kid),
)
