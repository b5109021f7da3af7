"""Reading an access token: pure rules, with the keys and the time passed in (RFC 9068)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jwt.types import Options

from fountain_common.roles import Permission, Role, allows, permissions_of, read_roles

ALGORITHM = "EdDSA"
TYPES = frozenset({"at+jwt", "application/at+jwt"})
LEEWAY_SECONDS = 30
MAX_LIFE_SECONDS = 900
"""No token of the Secrets Manager's lives longer, so none that does is its work."""
MAX_TOKEN_CHARACTERS = 8192
_REQUIRED = ("iss", "sub", "aud", "iat", "nbf", "exp", "jti", "client_id", "roles")
# The time is judged by the clock that is passed in.
_OPTIONS: Options = {
    "require": list(_REQUIRED),
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
}

KeyOf = Callable[[str], Ed25519PublicKey | None]


class TokenError(Exception):
    """A token that is not honoured; says why in words that are fit for its bearer."""


class UntimelyError(TokenError):
    """By the clock here, the token has expired or is not valid yet."""


class UnknownKeyError(TokenError):
    """The token names a signing key that is not known, or not yet."""


@dataclass(frozen=True)
class Caller:
    """Who is calling, as the token says.

    Attributes:
        subject: the name of the identity.
        roles: its roles, as in the token.
        client_id: the client that the token was issued to.
        key_id: the API key that it was issued for; "" if the token does not say.
        token_id: `jti`.
        audience: the services that the token is for.
        issued_at: unix seconds.
        expires_at: unix seconds.
        signing_key_id: the `kid` of the key that signed the token; "" where there is no token.
    """

    subject: str
    roles: tuple[str, ...]
    client_id: str
    key_id: str
    token_id: str
    audience: tuple[str, ...]
    issued_at: float
    expires_at: float
    signing_key_id: str = ""

    @cached_property
    def permissions(self) -> frozenset[Permission]:
        """What the caller may do on the platform."""
        return permissions_of(self.roles, self.subject)

    def may(self, permission: str) -> bool:
        """Tell whether the caller carries a permission, one of the platform or one of a service's own."""
        return permission in self.permissions or allows(self.roles, permission, self.subject)

    @property
    def is_admin(self) -> bool:
        """Tell whether the caller may do everything."""
        return Role.ADMIN in self.roles


def key_id_of(token: str) -> str:
    """Return the `kid` of a token whose header is one of ours.

    The algorithm is pinned here, before any key is chosen: a header that names another one, `none` or an HMAC
    over the public key, goes no further.

    Raises:
        TokenError: not a token of ours.
    """
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise TokenError("The token is too long.")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError):
        raise TokenError("The token is not a JWT.") from None
    if header.get("alg") != ALGORITHM:
        raise TokenError(f"The token is not signed with {ALGORITHM}.")
    if str(header.get("typ", "")).lower() not in TYPES:
        raise TokenError("The token is not an access token: its typ is not at+jwt.")
    kid = header.get("kid")
    if not isinstance(kid, str) or not kid or "crit" in header:
        raise TokenError("The token's header does not name its key.")
    return kid


def read_token(token: str, key_of: KeyOf, *, issuer: str, audience: str, now: float) -> Caller:
    """Verify a token and return its caller.

    Args:
        token: compact serialisation.
        key_of: the public key of a `kid`, or None.
        issuer: what `iss` must be.
        audience: what `aud` must contain.
        now: unix seconds; `exp`, `nbf` and `iat` have 30 seconds of leeway.

    Raises:
        UnknownKeyError: the key is not known; with newer keys it may be.
        UntimelyError: it is not the time for it.
        TokenError: not honoured.
    """
    kid = key_id_of(token)
    key = key_of(kid)
    if key is None:
        raise UnknownKeyError("The token is signed by a key that is not known here.")
    try:
        claims = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            audience=audience,
            issuer=issuer,
            options=_OPTIONS,
        )
    except jwt.PyJWTError as error:
        raise TokenError(_reason(error, issuer, audience)) from None
    _in_time(claims, now)
    return _caller(claims, kid)


def _reason(error: jwt.PyJWTError, issuer: str, audience: str) -> str:
    match error:
        case jwt.InvalidAudienceError():
            return f"The token is not for {audience}; ask for one with resource={audience}."
        case jwt.InvalidIssuerError():
            return f"The token is not from {issuer}."
        case jwt.MissingRequiredClaimError():
            return f"The token has no {error.claim}."
        case _:
            return "The token's signature or form is wrong."


def _in_time(claims: Mapping[str, Any], now: float) -> None:
    moments = {name: claims[name] for name in ("exp", "nbf", "iat")}
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in moments.values()):
        raise TokenError("The token's times are not numbers.")
    if now >= moments["exp"] + LEEWAY_SECONDS:
        raise UntimelyError("The token has expired.")
    if now < moments["nbf"] - LEEWAY_SECONDS or now < moments["iat"] - LEEWAY_SECONDS:
        raise UntimelyError("The token is not valid yet.")
    if not moments["exp"] - moments["iat"] <= MAX_LIFE_SECONDS + LEEWAY_SECONDS:
        raise TokenError("The token lives longer than any that is issued.")


def _caller(claims: Mapping[str, Any], kid: str) -> Caller:
    audience = claims["aud"]
    words = {name: claims[name] for name in ("sub", "client_id", "jti")}
    if not all(isinstance(word, str) and word for word in words.values()):
        raise TokenError("The token's sub, client_id and jti must be words.")
    try:
        roles = read_roles(claims["roles"])
    except ValueError as error:
        raise TokenError(f"The token's {error}.") from None
    return Caller(
        subject=claims["sub"],
        roles=roles,
        client_id=claims["client_id"],
        key_id=str(claims.get("kid_api") or ""),
        token_id=claims["jti"],
        audience=(audience,) if isinstance(audience, str) else tuple(audience),
        issued_at=float(claims["iat"]),
        expires_at=float(claims["exp"]),
        signing_key_id=kid,
    )


@dataclass(frozen=True)
class Revocations:
    """Before which moment the tokens of a subject, or of an API key, are no longer honoured (unix
    seconds); `issued_at` is the second in which the issuer said so.
    """

    subjects: Mapping[str, float]
    keys: Mapping[str, float]
    issued_at: float = field(default=0.0, compare=False)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> "Revocations":
        """Read the document of `GET /.well-known/revocations`.

        Raises:
            ValueError, KeyError, TypeError: it is not such a document.
        """
        subjects: dict[str, float] = {}
        keys: dict[str, float] = {}
        for entry in document["revocations"]:
            into, name = (keys, entry["key_id"]) if "key_id" in entry else (subjects, entry["subject"])
            into[name] = max(float(entry["not_before"]), into.get(name, 0.0))
        return cls(subjects, keys, float(document["issued_at"]))

    def cover(self, caller: Caller) -> bool:
        """Tell whether a caller's token was revoked."""
        moments = (self.subjects.get(caller.subject, 0.0), self.keys.get(caller.key_id, 0.0))
        return caller.issued_at < max(moments)


def read_keys(document: Mapping[str, Any]) -> dict[str, Ed25519PublicKey]:
    """Return the Ed25519 keys of a JWKS by `kid`; other kinds are left out.

    Raises:
        ValueError: it is not a JWKS, or none of its keys can be used.
    """
    keys: dict[str, Ed25519PublicKey] = {}
    entries = document.get("keys")
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, dict) or entry.get("kty") != "OKP" or entry.get("use", "sig") != "sig":
            continue
        try:
            key = jwt.PyJWK(entry, algorithm=ALGORITHM).key
        except (jwt.PyJWTError, ValueError, TypeError):
            continue
        if isinstance(key, Ed25519PublicKey) and isinstance(entry.get("kid"), str):
            keys[entry["kid"]] = key
    if not keys:
        raise ValueError("the key set holds no Ed25519 key")
    return keys
