"""Codes that are used once: recovery codes for a lost device, and one-time codes that go out as events.

Only hashes of recovery codes are stored: their 80 random bits make a plain hash enough. A one-time code has
six digits, is sealed where it is stored, and is worth something for minutes only and for few tries.
"""

import hashlib
import hmac
import secrets

RECOVERY_CODES = 10
ONE_TIME_DIGITS = 6
# Crockford's alphabet without look-alikes: what is read aloud or copied from paper stays readable.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_GROUPS, _GROUP = 4, 4


def new_recovery_codes() -> list[str]:
    """A fresh set, each in four groups of four characters."""
    return ["-".join(_group() for _ in range(_GROUPS)) for _ in range(RECOVERY_CODES)]


def new_one_time_code() -> str:
    """Six decimal digits."""
    return f"{secrets.randbelow(10**ONE_TIME_DIGITS):0{ONE_TIME_DIGITS}d}"


def is_recovery_code(code: str) -> bool:
    """Whether `code` has the shape of a recovery code, spelt as loosely as people type."""
    plain = _plain(code)
    return len(plain) == _GROUPS * _GROUP and set(plain) <= set(_ALPHABET)


def hashed(username: str, code: str) -> bytes:
    """What is stored of a code: bound to its owner, indifferent to hyphens, spaces and case."""
    return hashlib.sha256(f"{username}\0{_plain(code)}".encode()).digest()


def typed(code: str) -> str:
    """The code without the spaces and hyphens that people type, and that devices show, between its digits."""
    return "".join(code.split()).replace("-", "")


def same(one: bytes, other: bytes) -> bool:
    """Compare two hashes in constant time."""
    return hmac.compare_digest(one, other)


def _group() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_GROUP))


def _plain(code: str) -> str:
    return typed(code).lower()
