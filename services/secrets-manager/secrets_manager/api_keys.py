"""API keys: `fnt_<key id>_<256 random bits>`. Pure; only the hash is ever stored."""

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Final

_FORM: Final = re.compile(r"fnt_([a-z0-9]{12,16})_([A-Za-z0-9_-]{43})", re.ASCII)
_ID_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
_ID_LENGTH: Final = 14
_SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True, repr=False)
class ApiKey:
    """A key as its owner holds it. Its repr shows the id alone."""

    key_id: str
    secret: str

    @classmethod
    def generate(cls) -> "ApiKey":
        """Make a key."""
        key_id = "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))
        secret = base64.urlsafe_b64encode(secrets.token_bytes(_SECRET_BYTES)).rstrip(b"=").decode()
        return cls(key_id, secret)

    @classmethod
    def parse(cls, raw: str) -> "ApiKey | None":
        """Read a key as it was given; None if it does not have the form of one."""
        match = _FORM.fullmatch(raw)
        return cls(match[1], match[2]) if match else None

    def reveal(self) -> str:
        """Return the key in full: for its owner, once."""
        return f"fnt_{self.key_id}_{self.secret}"

    @property
    def hash(self) -> bytes:
        """What is stored. The key has 256 random bits, so that a fast hash is as good as a slow one."""
        return hashlib.sha256(b"fountain-api-key-1:" + self.reveal().encode()).digest()

    def matches(self, stored: bytes) -> bool:
        """Compare with a stored hash, in constant time."""
        return hmac.compare_digest(self.hash, stored)

    def __repr__(self) -> str:
        return f"<ApiKey {self.key_id}>"
