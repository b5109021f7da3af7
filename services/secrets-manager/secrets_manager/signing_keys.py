"""The keys of access tokens and when each signs and is published.

Pure: time is passed in.

announced   in the key set, so that verifiers learn it; does not sign yet
   |  LEAD_SECONDS, longer than verifiers take to fetch the set again
signing     until its successor does
   |  the longest life of a token, leeway included
gone        from the key set and from the store
"""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

TOKEN_SECONDS: Final = 900
LEAD_SECONDS: Final = 60.0
_OUTLIVES: Final = TOKEN_SECONDS + 30 + 30  # a token's life, the leeway of verifiers, and their clocks


@dataclass(frozen=True, slots=True, repr=False)
class SigningKey:
    """A key; moments are unix seconds. `published_until` is None while no successor is known."""

    kid: str
    private: Ed25519PrivateKey
    created_at: float
    signs_from: float
    published_until: float | None = None

    @classmethod
    def generate(cls, now: float, signs_from: float) -> "SigningKey":
        """Make a key, named by its thumbprint (RFC 7638)."""
        private = Ed25519PrivateKey.generate()
        return cls(thumbprint(private), private, now, signs_from)

    @property
    def jwk(self) -> dict[str, Any]:
        """The public half as a JSON Web Key (RFC 8037)."""
        return {**_public_members(self.private), "kid": self.kid, "use": "sig", "alg": "EdDSA"}

    def __repr__(self) -> str:
        return f"<SigningKey {self.kid}>"


@dataclass(frozen=True, slots=True)
class Turnover:
    """What a rotation changes: the whole set as it is afterwards, and the key that is new."""

    keys: tuple[SigningKey, ...]
    fresh: SigningKey


def thumbprint(private: Ed25519PrivateKey) -> str:
    """Return the name of a key: the SHA-256 of its required members, base64url (RFC 7638)."""
    members = orjson.dumps(_public_members(private), option=orjson.OPT_SORT_KEYS)
    return base64.urlsafe_b64encode(hashlib.sha256(members).digest()).rstrip(b"=").decode()


def signer(keys: Iterable[SigningKey], now: float) -> SigningKey:
    """Return the key that signs at this moment: the youngest whose time has come.

    If the clock stands before all of them, it is the oldest: it has signed already, by a clock that was
    ahead. ValueError if there is no key.
    """
    known = sorted(keys, key=lambda key: key.signs_from)
    return max(
        (key for key in known if key.signs_from <= now), key=lambda key: key.signs_from, default=known[0]
    )


def published(keys: Iterable[SigningKey], now: float) -> list[SigningKey]:
    """Return the keys that tokens alive at this moment, or soon, may be signed with."""
    return [key for key in keys if key.published_until is None or now < key.published_until]


def turn_over(keys: Sequence[SigningKey], now: float, *, emergency: bool = False) -> Turnover:
    """Bring in a new key.

    In an emergency the old ones go at once, with every token they signed. Otherwise the new one is announced,
    and if one is announced already, nothing changes: `fresh` is that one.
    """
    if emergency or not keys:
        fresh = SigningKey.generate(now, now)
        return Turnover((fresh,), fresh)
    announced = [key for key in keys if key.signs_from > now]
    if announced:
        return Turnover(tuple(keys), announced[0])
    fresh = SigningKey.generate(now, now + LEAD_SECONDS)
    ends = fresh.signs_from + _OUTLIVES
    older = (key if key.published_until is not None else replace(key, published_until=ends) for key in keys)
    return Turnover((*older, fresh), fresh)


def _public_members(private: Ed25519PrivateKey) -> dict[str, str]:
    raw = private.public_key().public_bytes_raw()
    return {"crv": "Ed25519", "kty": "OKP", "x": base64.urlsafe_b64encode(raw).rstrip(b"=").decode()}
