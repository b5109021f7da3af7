"""The factory: random values for secrets, from the operating system's generator (RFC 4086)."""

import base64
import os
import secrets
import string
import uuid
from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

MIN_LENGTH: Final = 16
MAX_LENGTH: Final = 1024
DEFAULT_LENGTH: Final = 32

_PASSWORD_CHARACTERS: Final = (string.ascii_letters + string.digits).encode()
_ROUNDS: Final = 256 // len(_PASSWORD_CHARACTERS)
_LEFT_OUT: Final = bytes(range(_ROUNDS * len(_PASSWORD_CHARACTERS), 256))
_CHARACTER_OF: Final = _PASSWORD_CHARACTERS * _ROUNDS + _LEFT_OUT


class SecretKind(StrEnum):
    """What a generated value looks like."""

    TOKEN = "token"  # noqa: S105 - a kind, no value
    HEX = "hex"
    PASSWORD = "password"  # noqa: S105 - a kind, no value
    UUID = "uuid"
    ED25519 = "ed25519"
    FERNET = "fernet"


def generate(kind: SecretKind = SecretKind.TOKEN, length: int = DEFAULT_LENGTH) -> str:
    """Return a fresh value.

    `length` counts random bytes for `token` (base64url) and `hex`, characters for `password` (letters and
    digits, at least one of each case and a digit). The other kinds have a length of their own: a random
    UUID, an Ed25519 private key in PEM (PKCS 8), 32 bytes in padded base64url as Fernet takes them.
    """
    if not MIN_LENGTH <= length <= MAX_LENGTH:
        raise ValueError(f"length must be between {MIN_LENGTH} and {MAX_LENGTH}")
    return _MAKERS[kind](length)


def generate_for(key: str) -> str:
    """Return a value for a key that the platform generates itself; unknown keys get 32 bytes in base64url."""
    kind, length = _KEY_KINDS.get(key, (SecretKind.FERNET, DEFAULT_LENGTH))
    return generate(kind, length)


def _password(length: int) -> str:
    while True:
        # Bytes beyond the last whole round of the alphabet are left out, so that no character is likelier.
        drawn = os.urandom(2 * length).translate(_CHARACTER_OF, _LEFT_OUT)[:length].decode()
        if len(drawn) == length and _has_each_kind(drawn):
            return drawn


def _has_each_kind(text: str) -> bool:
    return text.lower() != text and text.upper() != text and not text.isalpha()


def _ed25519(_length: int) -> str:
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


_MAKERS: Final[Mapping[SecretKind, Callable[[int], str]]] = MappingProxyType(
    {
        SecretKind.TOKEN: secrets.token_urlsafe,
        SecretKind.HEX: secrets.token_hex,
        SecretKind.PASSWORD: _password,
        SecretKind.UUID: lambda _length: str(uuid.uuid4()),
        SecretKind.ED25519: _ed25519,
        SecretKind.FERNET: lambda _length: base64.urlsafe_b64encode(os.urandom(32)).decode(),
    }
)

#: JWT_SECRET signs with HMAC-SHA256 or -512, whose keys should be as long as their output (RFC 7518,
#: section 3.2).
_KEY_KINDS: Final[Mapping[str, tuple[SecretKind, int]]] = MappingProxyType(
    {
        "JWT_SECRET": (SecretKind.TOKEN, 64),
        "DB_PASSWORD": (SecretKind.PASSWORD, 32),
    }
)
