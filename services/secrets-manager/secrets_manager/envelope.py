"""Envelope encryption: a fresh data key for each sealed value, wrapped by a key of the ring.

A sealed value is one byte string:

    01 | ring key id (4) | nonce (12) | wrapped data key (48) | nonce (12) | ciphertext and tag

Both layers are AES-256-GCM (NIST SP 800-38D) and authenticate `purpose` and `context`, so that a sealed
value opens only where it was put: moved to another service or version, or to another column, it does not.
"""

import os
import struct
from collections.abc import Mapping
from functools import cache
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
_NONCE: Final = 12
_WRAPPED: Final = KEY_BYTES + 16
_FORMAT: Final = 1
_HEADER: Final = struct.Struct(">BI")
_LENGTH: Final = struct.Struct(">I")
#: So much of a sealed value says which key wrapped it.
HEADER_BYTES: Final = _HEADER.size
_BODY: Final = _HEADER.size + _NONCE + _WRAPPED


class CannotOpenError(Exception):
    """The bytes were not sealed for this place, were altered, or name a key that the ring does not have."""


def associated_data(purpose: str, context: str) -> bytes:
    """Bind a ciphertext to its place; lengths go first, so that no two pairs share an encoding."""
    return _bound_to(purpose) + _counted(context)


@cache
def _bound_to(purpose: str) -> bytes:
    return _counted("fountain-envelope-1") + _counted(purpose)


def _counted(text: str) -> bytes:
    encoded = text.encode()
    return _LENGTH.pack(len(encoded)) + encoded


def encrypt(key: bytes, plaintext: bytes, bound_to: bytes) -> bytes:
    """Return nonce, ciphertext and tag."""
    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(key).encrypt(nonce, plaintext, bound_to)


def decrypt(key: bytes, sealed: bytes, bound_to: bytes) -> bytes:
    """Undo `encrypt`; CannotOpenError when anything differs."""
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], bound_to)
    except (InvalidTag, ValueError) as failure:
        raise CannotOpenError("altered, or sealed for another place or by another key") from failure


def seal(key_id: int, key: bytes, bound_to: bytes, plaintext: bytes) -> bytes:
    """Seal under a fresh data key, which is wrapped by ring key `key_id`."""
    data_key = AESGCM.generate_key(KEY_BYTES * 8)
    return (
        _HEADER.pack(_FORMAT, key_id)
        + encrypt(key, data_key, bound_to)
        + encrypt(data_key, plaintext, bound_to)
    )


def open_sealed(keys: Mapping[int, bytes], bound_to: bytes, sealed: bytes) -> bytes:
    """Return the plaintext, whichever ring key wrapped it."""
    return decrypt(_data_key(keys, bound_to, sealed), sealed[_BODY:], bound_to)


def rewrap(keys: Mapping[int, bytes], key_id: int, bound_to: bytes, sealed: bytes) -> bytes:
    """Wrap the data key anew with ring key `key_id`; the value itself is neither opened nor encrypted
    again.
    """
    data_key = _data_key(keys, bound_to, sealed)
    return _HEADER.pack(_FORMAT, key_id) + encrypt(keys[key_id], data_key, bound_to) + sealed[_BODY:]


def ring_key_of(sealed: bytes) -> int:
    """Say which ring key wrapped this value."""
    try:
        form, key_id = _HEADER.unpack_from(sealed)
    except struct.error as failure:
        raise CannotOpenError("too short to be a sealed value") from failure
    if form != _FORMAT:
        raise CannotOpenError(f"sealed in form {form}, which this version does not know")
    return int(key_id)


def _data_key(keys: Mapping[int, bytes], bound_to: bytes, sealed: bytes) -> bytes:
    key = keys.get(ring_key_of(sealed))
    if key is None:
        raise CannotOpenError("wrapped by a key that is not in the ring")
    return decrypt(key, sealed[_HEADER.size : _BODY], bound_to)
