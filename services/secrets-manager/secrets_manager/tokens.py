"""Making an access token (RFC 9068). Pure: key and time are passed in."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import jwt
from fountain_common.tokens import ALGORITHM

from secrets_manager.signing_keys import TOKEN_SECONDS, SigningKey


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token says.

    Who, with which roles, where, through which client and which API key ("" if none).
    """

    subject: str
    roles: tuple[str, ...]
    audience: tuple[str, ...]
    client_id: str
    key_id: str = ""


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token and what its answer says about it. The repr leaves the token out."""

    token: str
    expires_in: int
    audience: tuple[str, ...]
    token_id: str

    def __repr__(self) -> str:
        return f"<IssuedToken {self.token_id}>"


def mint(grant: Grant, key: SigningKey, issuer: str, now: float, not_before: float = 0.0) -> IssuedToken:
    """Sign a token that lives for 15 minutes.

    Times are whole seconds, as most readers expect. A token made in the second of a revocation is dated to
    the next, within every reader's leeway, so that it passes where its predecessors do not: `not_before` is
    the revocation's moment.
    """
    issued = max(int(now), int(not_before))
    token_id = secrets.token_urlsafe(16)
    claims = {
        "iss": issuer,
        "sub": grant.subject,
        "aud": list(grant.audience),
        "iat": issued,
        "nbf": issued,
        "exp": issued + TOKEN_SECONDS,
        "jti": token_id,
        "client_id": grant.client_id,
        "roles": list(grant.roles),
    }
    if grant.key_id:
        claims["kid_api"] = grant.key_id
    token = jwt.encode(claims, key.private, algorithm=ALGORITHM, headers={"kid": key.kid, "typ": "at+jwt"})
    return IssuedToken(token, TOKEN_SECONDS, grant.audience, token_id)


def revocation_moment(now: float, standing: float = 0.0) -> float:
    """Return the not-before of a revocation made now.

    The next whole second, which no earlier token can be dated to; or the one after the moment of the
    revocation that stands already, to which the tokens since then may be dated.
    """
    return float(max(int(now), int(standing)) + 1)


def audience_of(
    resources: Sequence[str], allowed: Sequence[str], platform: Sequence[str]
) -> tuple[str, ...] | None:
    """Decide what a token is for; None if that cannot be had.

    Args:
        resources: the services that were asked for (RFC 8707); empty if none was.
        allowed: the services that the API key is restricted to; empty if it is not.
        platform: the services of the platform: only they may share a token, since each of its readers could
            replay it to the others.
    """
    wanted = tuple(dict.fromkeys(resources)) or tuple(allowed) or tuple(platform)
    if allowed and not set(wanted) <= set(allowed):
        return None
    if len(wanted) > 1 and not set(wanted) <= set(platform):
        return None
    return wanted
