"""Makes tokens like the Secrets Manager's, for tests."""

import secrets
import time
from collections.abc import Callable, Iterable
from typing import Any

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

ISSUER = "https://secrets-manager.fountain.localhost"
LIFE_SECONDS = 900


class TokenMaker:
    """Signs tokens.

    Args:
        issuer: their `iss`.
        key: what they are signed with; a new one if not given.
        clock: unix seconds.
    """

    def __init__(
        self,
        issuer: str = ISSUER,
        key: Ed25519PrivateKey | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.issuer, self.key, self.clock = issuer, key or Ed25519PrivateKey.generate(), clock

    @property
    def kid(self) -> str:
        """The id of the key."""
        return "test-" + self.key.public_key().public_bytes_raw().hex()[:12]

    def token(
        self,
        subject: str,
        roles: Iterable[str] = (),
        audience: str | Iterable[str] = "",
        /,
        *,
        header: dict[str, Any] | None = None,
        **claims: object,
    ) -> str:
        """Return a token.

        Args:
            subject, roles, audience: whose, what they are, and for whom.
            header: other values for the header's fields.
            **claims: other values for the claims; None leaves one out.
        """
        now = int(self.clock())
        content = {
            "iss": self.issuer,
            "sub": subject,
            "aud": [audience] if isinstance(audience, str) else list(audience),
            "iat": now,
            "nbf": now,
            "exp": now + LIFE_SECONDS,
            "jti": secrets.token_hex(16),
            "client_id": subject,
            "roles": [str(role) for role in roles],
            **claims,
        }
        kept = {name: value for name, value in content.items() if value is not None}
        return jwt.encode(kept, self.key, "EdDSA", {"typ": "at+jwt", "kid": self.kid, **(header or {})})

    def jwks(self) -> dict[str, Any]:
        """Return the key set that verifies them."""
        public: dict[str, Any] = orjson.loads(OKPAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [{**public, "kid": self.kid, "use": "sig", "alg": "EdDSA"}]}

    def subject_of(self, authorization: str | None) -> str | None:
        """Return whose token a request carries; None if it is none of ours."""
        try:
            claims = jwt.decode(
                (authorization or "").removeprefix("Bearer "),
                self.key.public_key(),
                ["EdDSA"],
                {"verify_aud": False},
            )
        except jwt.PyJWTError:
            return None
        return str(claims["sub"])
