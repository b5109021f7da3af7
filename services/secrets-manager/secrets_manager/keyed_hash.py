"""HMAC-SHA-256 for many short messages under one key (RFC 2104)."""

import hashlib
from typing import Final

_BLOCK_BYTES: Final = 64


class KeyedHash:
    """Makes codes of messages, with the part that is the key's alone done once.

    Args:
        key: 64 bytes at most, the block of SHA-256.
        kind: what stands before each message, so that one kind of code is never taken for another.
    """

    def __init__(self, key: bytes, kind: bytes = b"") -> None:
        block = key.ljust(_BLOCK_BYTES, b"\0")
        if len(block) > _BLOCK_BYTES:
            raise ValueError(f"the key has more than {_BLOCK_BYTES} bytes")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block) + kind)
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def __call__(self, message: bytes) -> bytes:
        """Return the 32 bytes of a message's code."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()

    def __repr__(self) -> str:
        return "<KeyedHash>"
