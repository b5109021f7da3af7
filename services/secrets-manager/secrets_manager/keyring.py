"""The key ring: what seals and opens everything at rest, and what other keys are derived from."""

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import orjson
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from secrets_manager import envelope
from secrets_manager.envelope import KEY_BYTES, CannotOpenError

__all__ = ["CannotOpenError", "Keyring", "Ring"]


@dataclass(frozen=True, repr=False)
class Ring:
    """An immutable set of numbered keys and a root for derived ones; adding a key returns another ring."""

    keys: Mapping[int, bytes]
    root: bytes

    @classmethod
    def generate(cls) -> "Ring":
        """Make a ring of one key."""
        return cls(MappingProxyType({1: os.urandom(KEY_BYTES)}), os.urandom(KEY_BYTES))

    @property
    def newest(self) -> int:
        """The id of the key that encrypts; all of them decrypt."""
        return max(self.keys)

    def with_new_key(self) -> "Ring":
        """Return this ring with one more key, which is the newest. The root stays, or all row MACs would
        fail.
        """
        return Ring(MappingProxyType({**self.keys, self.newest + 1: os.urandom(KEY_BYTES)}), self.root)

    def with_newest_alone(self) -> "Ring":
        """Return this ring without its older keys: for when nothing is wrapped by them any more."""
        return Ring(MappingProxyType({self.newest: self.keys[self.newest]}), self.root)

    def dump(self) -> bytes:
        """Serialise for wrapping by the key-encryption key."""
        keys = {str(number): base64.b64encode(key).decode() for number, key in self.keys.items()}
        return orjson.dumps({"keys": keys, "root": base64.b64encode(self.root).decode()})

    @classmethod
    def load(cls, dumped: bytes) -> "Ring":
        """Undo `dump`."""
        document: dict[str, Any] = orjson.loads(dumped)
        keys = {int(number): base64.b64decode(key) for number, key in document["keys"].items()}
        return cls(MappingProxyType(keys), base64.b64decode(document["root"]))

    def __repr__(self) -> str:
        return f"<Ring of {len(self.keys)}, newest {self.newest}>"


@dataclass(repr=False)
class Keyring:
    """The ring in use. It is one object for the life of the process; `ring` is replaced when a key is
    added.
    """

    ring: Ring
    _derived: dict[tuple[str, int], bytes] = field(default_factory=dict)

    def seal(self, purpose: str, context: str, plaintext: bytes) -> bytes:
        """Encrypt with the newest key, bound to `purpose` (what it is) and `context` (whose, which
        version).
        """
        ring = self.ring
        bound_to = envelope.associated_data(purpose, context)
        return envelope.seal(ring.newest, ring.keys[ring.newest], bound_to, plaintext)

    def open(self, purpose: str, context: str, sealed: bytes) -> bytes:
        """Decrypt with whichever key sealed it; CannotOpenError if it was altered or belongs elsewhere."""
        return envelope.open_sealed(self.ring.keys, envelope.associated_data(purpose, context), sealed)

    def needs_rewrap(self, sealed: bytes) -> bool:
        """Whether an older key of the ring wraps this value."""
        return envelope.ring_key_of(sealed) != self.ring.newest

    def rewrap(self, purpose: str, context: str, sealed: bytes) -> bytes:
        """Wrap the data key of a sealed value with the newest key of the ring."""
        ring = self.ring
        return envelope.rewrap(ring.keys, ring.newest, envelope.associated_data(purpose, context), sealed)

    def derive(self, label: str, length: int = KEY_BYTES) -> bytes:
        """Return the subkey of this label, `length` bytes (HKDF-SHA256, RFC 5869); the same as long as the
        ring lives.
        """
        known = self._derived.get((label, length))
        if known is None:
            known = HKDF(hashes.SHA256(), length, salt=None, info=label.encode()).derive(self.ring.root)
            self._derived[label, length] = known
        return known

    def __repr__(self) -> str:
        return f"<Keyring {self.ring!r}>"
