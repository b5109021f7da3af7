"""Reading a request to the token endpoint (RFC 6749, 8693, 8707). Pure.

It may be a form or JSON, with the credential in HTTP Basic or in the body.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote_plus

import orjson
from fountain_common.errors import InvalidName
from fountain_common.names import service_name
from fountain_common.requests import plain_address

CLIENT_CREDENTIALS: Final = "client_credentials"
TOKEN_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - a name
API_KEY_TYPE: Final = "urn:fountain:params:token-type:api-key"
ACCESS_TOKEN_TYPE: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a name
_REPEATABLE: Final = frozenset({"resource", "audience"})
_MAX_RESOURCES: Final = 8


class OAuthError(Exception):
    """An error as RFC 6749, section 5.2 has it.

    Args:
        error: the code.
        description: a sentence for the person who reads it.
        status: 400, or 401 and 429 where the credential was wrong.
        retry_after: seconds, for a 429.
    """

    def __init__(self, error: str, description: str, status: int = 400, retry_after: int = 0) -> None:
        super().__init__(description)
        self.error, self.description, self.status, self.retry_after = error, description, status, retry_after


@dataclass(frozen=True, slots=True, repr=False)
class TokenRequest:
    """What was asked for. Its repr shows no credential, since it has none.

    `through_edge`: of an exchange, whether the key was shown in a request that came through the edge.
    `shown_from`: of an exchange, the address of who showed it; "" if the service does not know or say it.
    Both are the service's word, to be believed of one that has proved who it is.
    """

    grant_type: str
    client_id: str | None
    client_secret: str
    resources: tuple[str, ...]
    subject_token: str = ""
    used_basic: bool = False
    through_edge: bool = False
    shown_from: str = ""


def read_request(content_type: str, authorization: str | None, body: bytes) -> TokenRequest:
    """Read a request.

    Raises:
        OAuthError: it is malformed, carries no credential, or asks for a grant that there is not.
    """
    fields = _fields(content_type, body)
    grant_type = _one(fields, "grant_type") or _missing("grant_type")
    if grant_type not in (CLIENT_CREDENTIALS, TOKEN_EXCHANGE):
        raise OAuthError(
            "unsupported_grant_type", f"The grant types are {CLIENT_CREDENTIALS} and {TOKEN_EXCHANGE}."
        )
    client_id, client_secret = _one(fields, "client_id"), _one(fields, "client_secret")
    used_basic = authorization is not None
    if authorization is not None:
        if client_secret is not None:
            raise OAuthError(
                "invalid_request",
                "Send the credential in the Authorization header or in the body, not in both.",
            )
        basic_id, client_secret = _basic(authorization)
        if client_id is not None and basic_id and client_id != basic_id:
            raise OAuthError(
                "invalid_request", "The Authorization header and the body name different clients."
            )
        client_id = basic_id or client_id
    if not client_secret:
        raise OAuthError(
            "invalid_client",
            "Send the API key as client_secret, in the body or by HTTP Basic authentication.",
            401,
        )
    subject_token = _subject_token(fields) if grant_type == TOKEN_EXCHANGE else ""
    return TokenRequest(
        grant_type,
        client_id,
        client_secret,
        _resources(fields),
        subject_token,
        used_basic,
        _through_edge(fields),
        _shown_from(fields),
    )


def _fields(content_type: str, body: bytes) -> dict[str, list[str]]:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "application/json":
        pairs = _json_pairs(body)
    elif media_type in ("application/x-www-form-urlencoded", ""):
        try:
            pairs = parse_qsl(body.decode("utf-8"), max_num_fields=32, errors="strict")
        except ValueError:
            raise OAuthError("invalid_request", "The form could not be read.") from None
    else:
        raise OAuthError(
            "invalid_request", "Send a form (application/x-www-form-urlencoded) or application/json."
        )
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields


def _json_pairs(body: bytes) -> list[tuple[str, str]]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise OAuthError("invalid_request", "The body is not valid JSON.") from None
    if not isinstance(document, dict):
        raise OAuthError("invalid_request", "The body must be a JSON object.")
    pairs: list[tuple[str, str]] = []
    for name, value in document.items():
        values: Sequence[object] = value if isinstance(value, list) and name in _REPEATABLE else [value]
        for item in values:
            if item is None:
                continue
            if not isinstance(item, str):
                raise OAuthError("invalid_request", "Every field of the body must be a string.")
            pairs.append((name, item))
    return pairs


def _one(fields: dict[str, list[str]], name: str) -> str | None:
    values = fields.get(name, [])
    if len(values) > 1:
        raise OAuthError("invalid_request", f"{name} is given more than once.")
    return values[0] if values and values[0] else None


def _missing(name: str) -> str:
    raise OAuthError("invalid_request", f"{name} is missing.")


def _basic(authorization: str) -> tuple[str | None, str]:
    scheme, _, encoded = authorization.partition(" ")
    refused = OAuthError(
        "invalid_client", "The Authorization header is not HTTP Basic with a client and its key.", 401
    )
    if scheme.lower() != "basic":
        raise refused
    try:
        client_id, separator, secret = (
            base64.b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
        )
    except (binascii.Error, UnicodeDecodeError):
        raise refused from None
    if not separator:
        raise refused
    return unquote_plus(client_id) or None, unquote_plus(secret)


def _subject_token(fields: dict[str, list[str]]) -> str:
    if _one(fields, "subject_token_type") != API_KEY_TYPE:
        raise OAuthError("invalid_request", f"subject_token_type must be {API_KEY_TYPE}.")
    if _one(fields, "requested_token_type") not in (None, ACCESS_TOKEN_TYPE):
        raise OAuthError("invalid_request", f"requested_token_type can only be {ACCESS_TOKEN_TYPE}.")
    if _one(fields, "actor_token") is not None:
        raise OAuthError("invalid_request", "actor_token is not supported.")
    return _one(fields, "subject_token") or _missing("subject_token")


def _through_edge(fields: dict[str, list[str]]) -> bool:
    said = _one(fields, "through_edge") or "false"
    if said not in ("true", "false"):
        raise OAuthError("invalid_request", "through_edge must be true or false.")
    return said == "true"


def _shown_from(fields: dict[str, list[str]]) -> str:
    said = _one(fields, "shown_from")
    if said is None:
        return ""
    return plain_address(said) or _no_address()


def _no_address() -> str:
    raise OAuthError("invalid_request", "shown_from must be an IP address.")


def _resources(fields: dict[str, list[str]]) -> tuple[str, ...]:
    """`audience` of RFC 8693 means the same here: the name of a service."""
    given = [*fields.get("resource", ()), *fields.get("audience", ())]
    if len(given) > _MAX_RESOURCES:
        raise OAuthError("invalid_target", "Too many resources are named.")
    try:
        return tuple(service_name(value) for value in given if value)
    except InvalidName:
        raise OAuthError("invalid_target", "resource must be the bare name of a service.") from None
