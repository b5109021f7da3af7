"""Seals the values of a version for the database and opens them again."""

from typing import Final

import orjson

from secrets_manager.keyed_hash import KeyedHash
from secrets_manager.keyring import Keyring
from secrets_manager.keyring_store import SealedColumn
from secrets_manager.models_secrets import SecretVersionRow
from secrets_manager.values import Values

_PURPOSE: Final = "secret-version"
_DIGEST_BYTES: Final = 16


def context(service_name: str, version: int) -> str:
    """Name the place that a version's ciphertext is bound to."""
    return f"{service_name}/{version}"


#: What is wrapped anew when the ring gets a key.
SEALED: Final = SealedColumn(
    SecretVersionRow, "sealed", _PURPOSE, lambda row: context(row.service_name, row.version)
)


class Vault:
    """Values in, ciphertext out, and back."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._digest = KeyedHash(keyring.derive("digest"))

    def seal(self, service_name: str, version: int, values: Values) -> bytes:
        """Encrypt the values of one version."""
        document = {"values": dict(values.by_key), "generated": sorted(values.generated)}
        return self._keyring.seal(_PURPOSE, context(service_name, version), orjson.dumps(document))

    def open(self, service_name: str, version: int, sealed: bytes) -> Values:
        """Decrypt the values of one version; CannotOpenError if these are not its bytes."""
        document = orjson.loads(self._keyring.open(_PURPOSE, context(service_name, version), sealed))
        return Values(document["values"], frozenset(document["generated"]))

    def described(self, values: Values) -> dict[str, object]:
        """Return what may be said of values on record: their keys, and a keyed hash of all of them."""
        return {"keys": sorted(values.by_key), "digest": self.digest(dict(values.by_key)).hex()}

    def digest(self, *parts: object) -> bytes:
        """Return a keyed hash of JSON-able parts: two are compared by it, nothing is learnt from it."""
        return self._digest(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS))[:_DIGEST_BYTES]
