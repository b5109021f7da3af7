"""Errors as RFC 9457 problems.

    Problem
    ├── BadRequest            400  the request could not be read, or carries credentials in its URL
    ├── Unauthenticated       401  no token, or one that is not honoured
    ├── Forbidden             403  the token does not carry the permission; `Forbidden.missing` names it
    ├── NotFound              404
    ├── Conflict              409  the state does not allow it
    ├── Gone                  410
    ├── PreconditionFailed    412  somebody else changed it first
    ├── PayloadTooLarge       413
    ├── Unprocessable         422  the payload is malformed
    │   └── InvalidName       422
    ├── TooManyRequests       429
    └── Unavailable           503  try again later

Domain code raises them; `error_handlers` turns them, and everything else that can go wrong, into
`application/problem+json` with `type title status detail instance request_id`. The framework is not needed
here: the command knows these errors as well, and starts in half the time without it.
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, ClassVar, Self

import orjson

from fountain_common.redaction import redact_text

MEDIA_TYPE = "application/problem+json"
CLIENT_CLOSED = 499
"""Logged and counted when the caller went away before the answer began; it is never sent."""


class Problem(Exception):
    """An answer that is an error.

    Args:
        detail: one or two sentences for the person who reads it: what is wrong, what to do. Never a secret.
        headers: more response headers, such as `Retry-After`.
        **extra: more members of the problem document (RFC 9457, section 3.2).
    """

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal Server Error"
    type: ClassVar[str] = "about:blank"

    def __init__(
        self, detail: str | None = None, *, headers: Mapping[str, str] | None = None, **extra: object
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.headers = dict(headers or {})
        self.extra = extra


class BadRequest(Problem):
    """The request could not be understood."""

    status, title = 400, "Bad Request"


class Unauthenticated(Problem):
    """No credential, or one that is not honoured; the answer says which kind is (RFC 6750, section 3)."""

    status, title = 401, "Unauthorized"

    def __init__(
        self, detail: str | None = None, *, headers: Mapping[str, str] | None = None, **extra: object
    ) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": "Bearer", **(headers or {})}, **extra)


class Forbidden(Problem):
    """The caller is known and may not do this."""

    status, title = 403, "Forbidden"

    @classmethod
    def missing(cls, permission: str, roles: Iterable[str]) -> Self:
        """Name the missing permission and the caller's roles, and never whether the thing exists."""
        held = sorted(str(role) for role in roles)
        return cls(
            f"This needs the permission {permission}; your roles are {', '.join(held) or 'none'}.",
            permission=str(permission),
            roles=held,
        )


class NotFound(Problem):
    """There is no such thing."""

    status, title = 404, "Not Found"


class Conflict(Problem):
    """The state of the thing does not allow it."""

    status, title = 409, "Conflict"


class Gone(Problem):
    """It existed and does no more."""

    status, title = 410, "Gone"


class PreconditionFailed(Problem):
    """`If-Match` names a state that has passed."""

    status, title = 412, "Precondition Failed"


class PayloadTooLarge(Problem):
    """The body is over the limit."""

    status, title = 413, "Content Too Large"


class Unprocessable(Problem):
    """The payload is malformed."""

    status, title = 422, "Unprocessable Content"


class InvalidName(Unprocessable):
    """Not the name of a service."""


class TooManyRequests(Problem):
    """Come back later; `headers={"Retry-After": "<seconds>"}` says when."""

    status, title = 429, "Too Many Requests"


class Unavailable(Problem):
    """It cannot be done now and nothing of it was done; the same request may be sent again."""

    status, title = 503, "Service Unavailable"

    def __init__(
        self, detail: str | None = None, *, headers: Mapping[str, str] | None = None, **extra: object
    ) -> None:
        super().__init__(detail, headers={"Retry-After": "1", **(headers or {})}, **extra)


_TITLES = {kind.status: kind.title for kind in Problem.__subclasses__()}


def title_of(status: int) -> str:
    """Return the title for a status: ours, or the registered phrase."""
    if status in _TITLES:
        return _TITLES[status]
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def document(
    status: int,
    detail: str | None,
    path: str,
    request_id: str,
    members: Mapping[str, object] | None = None,
) -> bytes:
    """Return the problem document as JSON; further members replace no registered one but `type`."""
    return orjson.dumps(
        {
            "type": "about:blank",
            **(members or {}),
            "title": title_of(status),
            "status": status,
            "detail": detail or title_of(status),
            # What was sent is not sent back, and a key may have been put where its id belongs.
            "instance": redact_text(path),
            "request_id": request_id,
        },
        default=str,
    )


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what `responses=` of a route takes, for the statuses that it alone can answer.

    400, 401, 403, 413, 422 and 500 are declared on every operation already.
    """
    return {
        status: {
            "description": title_of(status),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }
