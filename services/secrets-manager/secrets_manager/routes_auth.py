"""Tokens, and what verifies them: the token endpoint, the key set, revocations, and the keys' rotation."""

from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from fountain_common.errors import problem_responses
from fountain_common.schemas import StrictModel
from pydantic import BaseModel, Field

from secrets_manager.deps import Context, SigningKeyRotator, TheCore
from secrets_manager.signing_keys import SigningKey
from secrets_manager.token_requests import (
    ACCESS_TOKEN_TYPE,
    API_KEY_TYPE,
    CLIENT_CREDENTIALS,
    TOKEN_EXCHANGE,
    OAuthError,
    read_request,
)

router = APIRouter(tags=["tokens"])
_NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class TokenAnswer(BaseModel):
    """An access token (RFC 6749, section 5.1)."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - a word of the protocol
    expires_in: int = Field(description="Seconds.")
    issued_token_type: str | None = Field(default=None, description="Of a token exchange (RFC 8693).")


class TokenErrorAnswer(BaseModel):
    """An error of the token endpoint (RFC 6749, section 5.2)."""

    error: str
    error_description: str


class KeySet(BaseModel):
    """A JSON Web Key Set (RFC 7517)."""

    keys: list[dict[str, str]]


class Revocation(BaseModel):
    """Tokens of this subject, or of this API key, issued before `not_before` are refused."""

    subject: str | None = None
    key_id: str | None = None
    not_before: float = Field(description="Unix seconds.")


class RevocationList(BaseModel):
    """All revocations that a living token may fall under."""

    issued_at: int = Field(description="Unix seconds.")
    revocations: list[Revocation]


class RotationRequest(StrictModel):
    """How to rotate."""

    emergency: bool = Field(
        default=False, description="Drop the old keys at once, with all tokens that they signed."
    )


class RotatedSigningKey(BaseModel):
    """The new key, and the one that signs until it does."""

    kid: str
    signs_from: datetime = Field(description="It is published already, so that verifiers know it by then.")
    previous_kid: str | None
    emergency: bool


_FORM: Final = {
    "type": "object",
    "required": ["grant_type", "client_secret"],
    "properties": {
        "grant_type": {"type": "string", "enum": [CLIENT_CREDENTIALS, TOKEN_EXCHANGE]},
        "client_id": {
            "type": "string",
            "description": "The identity's name; may be left out, as the key says it.",
        },
        "client_secret": {"type": "string", "format": "password", "description": "The whole API key."},
        "resource": {
            "type": "string",
            "description": "The service that the token is for; without it, the platform's three.",
        },
        "subject_token": {
            "type": "string",
            "format": "password",
            "description": "Exchange: the key that was presented.",
        },
        "subject_token_type": {"type": "string", "enum": [API_KEY_TYPE]},
        "through_edge": {
            "type": "string",
            "enum": ["true", "false"],
            "description": "Exchange: whether the key was shown in a request that came through the edge, "
            "where the keys of services are honoured only if these are remote.",
        },
        "shown_from": {
            "type": "string",
            "description": "Exchange: the address of who showed the key, for the audit.",
        },
    },
}


@router.post(
    "/auth/token",
    operation_id="issueToken",
    summary="Issue an access token",
    response_model=TokenAnswer,
    response_model_exclude_none=True,
    responses={
        # A problem is what every service answers whose URL carries a credential.
        400: {
            "model": TokenErrorAnswer,
            **problem_responses(400)[400],
            "description": "Malformed or refused",
        },
        401: {"model": TokenErrorAnswer, "description": "The client or its key is not honoured"},
        429: {"model": TokenErrorAnswer, "description": "Too many wrong keys from this address"},
        **problem_responses(503),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/x-www-form-urlencoded": {"schema": _FORM},
                "application/json": {"schema": _FORM},
            },
        }
    },
)
async def issue_token(request: Request, core: TheCore, context: Context) -> Response:
    """Give an API key, get a token that lives 15 minutes (OAuth 2.0 client credentials).

    Form or JSON, HTTP Basic or body.
    """
    used_basic = "authorization" in request.headers
    try:
        asked = read_request(
            request.headers.get("content-type", ""),
            request.headers.get("authorization"),
            await request.body(),
        )
        issued = await core.issuance.issue(asked, context)
    except OAuthError as error:
        return _refusal(error, core.settings.service_name, used_basic=used_basic)
    answer = TokenAnswer(
        access_token=issued.token,
        expires_in=issued.expires_in,
        issued_token_type=ACCESS_TOKEN_TYPE if asked.grant_type == TOKEN_EXCHANGE else None,
    )
    return JSONResponse(answer.model_dump(exclude_none=True), headers=_NO_STORE)


@router.get(
    "/.well-known/jwks.json", operation_id="getJsonWebKeySet", summary="Get the keys that verify tokens"
)
async def get_json_web_key_set(core: TheCore, response: Response) -> KeySet:
    """Return the public keys of all tokens alive, and of the next ones.

    A new key stands here before it signs.
    """
    response.headers["Cache-Control"] = "public, max-age=15"
    return KeySet(**core.signing_keys.jwks())


@router.get(
    "/.well-known/oauth-authorization-server",
    operation_id="getAuthorizationServerMetadata",
    summary="Get the metadata of the issuer",
)
async def get_authorization_server_metadata(core: TheCore) -> dict[str, Any]:
    """Return where tokens are issued and how clients prove who they are (RFC 8414)."""
    issuer = core.settings.issuer_url
    return {
        "issuer": issuer,
        "token_endpoint": f"{issuer}/auth/token",
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "grant_types_supported": [CLIENT_CREDENTIALS, TOKEN_EXCHANGE],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "response_types_supported": [],
        "service_documentation": f"{issuer}/docs",
    }


@router.get(
    "/.well-known/revocations",
    operation_id="getRevocations",
    summary="Get the revocations",
    response_model=RevocationList,
    response_model_exclude_none=True,
)
async def get_revocations(core: TheCore, response: Response) -> dict[str, Any]:
    """Return before which moment the tokens of a subject or a key are refused.

    Every service fetches this every 10 seconds.
    """
    response.headers["Cache-Control"] = "no-cache"
    return await core.revocations()


@router.post(
    "/signing-keys/rotate",
    operation_id="rotateSigningKey",
    summary="Rotate the key that signs tokens",
    responses=problem_responses(503),
)
async def rotate_signing_key(
    actor: SigningKeyRotator, core: TheCore, body: RotationRequest | None = None
) -> RotatedSigningKey:
    """Publish a new key, which signs a minute later.

    In an emergency it signs at once and all tokens so far are void.
    """
    emergency = body is not None and body.emergency
    fresh, until_then = await core.signing_keys.rotate(actor, emergency=emergency)
    await core.trust_changed()
    return _rotated(fresh, until_then, emergency=emergency)


def _rotated(fresh: SigningKey, until_then: SigningKey | None, *, emergency: bool) -> RotatedSigningKey:
    return RotatedSigningKey(
        kid=fresh.kid,
        signs_from=datetime.fromtimestamp(fresh.signs_from, UTC),
        previous_kid=until_then.kid if until_then else None,
        emergency=emergency,
    )


def _refusal(error: OAuthError, realm: str, *, used_basic: bool) -> JSONResponse:
    headers = dict(_NO_STORE)
    if error.status == 401 and used_basic:
        headers["WWW-Authenticate"] = f'Basic realm="{realm}"'
    if error.retry_after:
        headers["Retry-After"] = str(error.retry_after)
    body = TokenErrorAnswer(error=error.error, error_description=error.description)
    return JSONResponse(body.model_dump(), error.status, headers)
