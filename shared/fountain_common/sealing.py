"""Data at rest under a service's own `DATA_KEY`: AES-256-GCM, bound to where it belongs, ready for rotation.

The id of the key lies beside the ciphertext: what is new is sealed with the active key, what is old opens
with any that is still accepted. A service seals its rows anew in an `on_rotation` handler; `Sealer.current`
tells which need it.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_FORMAT = b"\x01"
_ID_BYTES = 8
_NONCE_BYTES = 12
_HEAD_BYTES = len(_FORMAT) + _ID_BYTES


class SealBroken(Exception):
    """Sealed data that does not open: altered, in another's place, or sealed with a key no longer held."""


class AcceptedSecrets(Protocol):
    """What a sealer needs of `fountain_common.secrets.Secrets`."""

    def accepted(self, key: str) -> Sequence[tuple[int, str]]:
        """Versions and values of `key` that are accepted, the active one first."""
        ...


class Sealer:
    """Seals with the first of the keys that `keys` answers at the time, opens with any of them."""

    def __init__(self, keys: Callable[[], Iterable[str]]) -> None:
        self._keys = keys

    @classmethod
    def of(cls, secrets: AcceptedSecrets, name: str = "DATA_KEY") -> "Sealer":
        """A sealer that follows the rotations of the secret `name`."""
        return cls(lambda: [value for _, value in secrets.accepted(name)])

    def seal(self, context: str, plaintext: bytes) -> bytes:
        """Encrypt `plaintext`; it opens only under the same `context` (its table and row, for example)."""
        key_id, cipher = _derived(self._newest())
        nonce = os.urandom(_NONCE_BYTES)
        return _FORMAT + key_id + nonce + cipher.encrypt(nonce, plaintext, context.encode())

    def open(self, context: str, sealed: bytes) -> bytes:
        """Decrypt what `seal` gave for the same `context`. Raises `SealBroken`."""
        key_id, nonce = sealed[len(_FORMAT) : _HEAD_BYTES], sealed[_HEAD_BYTES : _HEAD_BYTES + _NONCE_BYTES]
        for key in self._keys():
            candidate, cipher = _derived(key)
            if candidate == key_id and sealed.startswith(_FORMAT):
                try:
                    return cipher.decrypt(nonce, sealed[_HEAD_BYTES + _NONCE_BYTES :], context.encode())
                except (InvalidTag, ValueError):
                    break
        raise SealBroken("sealed data does not open with any key held")

    def current(self, sealed: bytes) -> bool:
        """Whether `sealed` was made with the active key, so that nothing has to be done on a rotation."""
        return sealed[:_HEAD_BYTES] == _FORMAT + _derived(self._newest())[0]

    def _newest(self) -> str:
        for key in self._keys():
            return key
        raise SealBroken("there is no active data key")


@lru_cache(maxsize=16)
def _derived(key: str) -> tuple[bytes, AESGCM]:
    """The id and the cipher that belong to a data key. HKDF (RFC 5869) keeps the two apart."""
    made = HKDF(SHA256(), length=_ID_BYTES + 32, salt=None, info=b"fountain sealing 1").derive(key.encode())
    return made[:_ID_BYTES], AESGCM(made[_ID_BYTES:])
