"""Data at rest under a service's own `DATA_KEY`: AES-256-GCM, bound to where it belongs, ready for rotation.

The id of the key lies beside the ciphertext: what is new is sealed with the active key, what is old opens
with any that is still accepted. A service seals its rows anew at its start and in an `on_rotation` handler;
`Sealer.current` tells which need it, and inside `Sealer.reaching_back` also those open whose key has retired
meanwhile.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_FORMAT = b"\x01"
_ID_BYTES = 8
_NONCE_BYTES = 12
HEAD_BYTES = len(_FORMAT) + _ID_BYTES
"""So many first bytes of what is sealed tell with which key."""


class SealBroken(Exception):
    """Sealed data that does not open: altered, in another's place, or sealed with a key no longer held."""


class AcceptedSecrets(Protocol):
    """What a sealer needs of `fountain_common.secrets.Secrets`."""

    def accepted(self, key: str) -> Sequence[tuple[int, str]]:
        """Versions and values of `key` that are accepted, the active one first."""
        ...

    def earlier(self, key: str) -> AsyncIterator[tuple[int, str]]:
        """Versions and values of `key` that are accepted no more, the newest first."""
        ...


class Sealer:
    """Seals with the first of the keys that `keys` answers at the time, opens with any of them.

    Args:
        keys: those that are accepted now.
        earlier: fetches those that were, the newest first; without it, what was sealed with them is lost.
    """

    HEAD_BYTES: Final = HEAD_BYTES
    """So many first bytes of what is sealed tell with which key: enough for `reaching_back`."""

    def __init__(
        self, keys: Callable[[], Iterable[str]], earlier: Callable[[], AsyncIterator[str]] | None = None
    ) -> None:
        self._keys, self._earlier = keys, earlier
        self._recalled: list[str] = []
        self._recalling = asyncio.Lock()

    @classmethod
    def of(cls, secrets: AcceptedSecrets, name: str = "DATA_KEY") -> "Sealer":
        """A sealer that follows the rotations of the secret `name`."""

        async def earlier() -> AsyncIterator[str]:
            async for _, value in secrets.earlier(name):
                yield value

        return cls(lambda: [value for _, value in secrets.accepted(name)], earlier)

    def seal(self, context: str, plaintext: bytes) -> bytes:
        """Encrypt `plaintext`; it opens only under the same `context` (its table and row, for example)."""
        key_id, cipher = _derived(self._newest())
        nonce = os.urandom(_NONCE_BYTES)
        return _FORMAT + key_id + nonce + cipher.encrypt(nonce, plaintext, context.encode())

    def open(self, context: str, sealed: bytes) -> bytes:
        """Decrypt what `seal` gave for the same `context`. Raises `SealBroken`."""
        key_id, nonce = sealed[len(_FORMAT) : HEAD_BYTES], sealed[HEAD_BYTES : HEAD_BYTES + _NONCE_BYTES]
        for key in (*self._keys(), *self._recalled):
            candidate, cipher = _derived(key)
            if candidate == key_id and sealed.startswith(_FORMAT):
                try:
                    return cipher.decrypt(nonce, sealed[HEAD_BYTES + _NONCE_BYTES :], context.encode())
                except (InvalidTag, ValueError):
                    break
        raise SealBroken("sealed data does not open with any key held")

    def current(self, sealed: bytes) -> bool:
        """Whether `sealed` was made with the active key, so that nothing has to be done on a rotation."""
        return sealed[:HEAD_BYTES] == _head(self._newest())

    @asynccontextmanager
    async def reaching_back(self, sealed: Iterable[bytes]) -> AsyncIterator[None]:
        """Let these open, inside the block, with keys that retired while this service was stopped.

        Nothing is fetched when all of them open anyway. What no version has a key for stays closed; the
        caller learns of it by `SealBroken`, as ever.

        Args:
            sealed: what will be opened, or only its first `HEAD_BYTES`.

        Raises:
            Unavailable, Forbidden: earlier keys are needed and cannot be fetched now.
        """
        async with self._recalling:
            missing = {each[:HEAD_BYTES] for each in sealed} - {_head(key) for key in self._keys()}
            try:
                if missing and self._earlier is not None:
                    async for key in self._earlier():
                        if _head(key) in missing:
                            missing.discard(_head(key))
                            self._recalled.append(key)
                        if not missing:
                            break
                yield
            finally:
                self._recalled.clear()

    def _newest(self) -> str:
        for key in self._keys():
            return key
        raise SealBroken("there is no active data key")


def _head(key: str) -> bytes:
    return _FORMAT + _derived(key)[0]


@lru_cache(maxsize=16)
def _derived(key: str) -> tuple[bytes, AESGCM]:
    """The id and the cipher that belong to a data key. HKDF (RFC 5869) keeps the two apart."""
    made = HKDF(SHA256(), length=_ID_BYTES + 32, salt=None, info=b"fountain sealing 1").derive(key.encode())
    return made[:_ID_BYTES], AESGCM(made[_ID_BYTES:])
