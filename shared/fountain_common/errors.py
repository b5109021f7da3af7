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

Domain code raises them; `install` turns them, and everything else that can go wrong, into
`application/problem+json` with `type title status detail instance request_id`.
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, ClassVar, Self, cast

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection

MEDIA_TYPE = "application/problem+json"
CLIENT_CLOSED = 499
_MAX_ERRORS = 20
_MAX_LOC = 100
_UNREADABLE = "The request body could not be read. Send it complete, in the form that Content-Type names."


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
    """Answer the title for a status: ours, or the registered phrase."""
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
    """Answer the problem document as JSON; further members replace no registered one but `type`."""
    return orjson.dumps(
        {
            "type": "about:blank",
            **(members or {}),
            "title": title_of(status),
            "status": status,
            "detail": detail or title_of(status),
            "instance": path,
            "request_id": request_id,
        },
        default=str,
    )


def respond(
    request: HTTPConnection,
    status: int,
    detail: str | None,
    headers: Mapping[str, str] | None = None,
    members: Mapping[str, object] | None = None,
) -> Response:
    """Answer a problem as a response; the request id comes from the request's own state."""
    request_id = str(request.scope.get("state", {}).get("request_id", ""))
    body = document(status, detail, request.scope["path"], request_id, members)
    return Response(body, status, media_type=MEDIA_TYPE, headers=dict(headers or {}))


async def _on_problem(request: Request, error: Exception) -> Response:
    problem = cast("Problem", error)
    members = {"type": problem.type, **problem.extra}
    return respond(request, problem.status, problem.detail, problem.headers, members)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    refused = cast("HTTPException", error)
    return respond(request, refused.status_code, _sentence(request, refused), refused.headers)


def _sentence(request: Request, error: HTTPException) -> str:
    phrase = title_of(error.status_code)
    if error.status_code == 404 and error.detail in ("Not Found", phrase):
        return "There is nothing at this path. GET /docs lists what there is."
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow")
        return f"{request.method} is not allowed here." + (f" Use {allowed}." if allowed else "")
    if error.status_code == 400 and error.detail == "There was an error parsing the body":
        return _UNREADABLE
    return error.detail if isinstance(error.detail, str) else phrase


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    found = cast("RequestValidationError", error).errors()
    if any(item.get("type") == "json_invalid" for item in found):
        return respond(request, 400, "The request body is not valid JSON.")
    return respond(
        request,
        422,
        "The request is not valid; `errors` says where.",
        members={"errors": shown(found)},
    )


def shown(found: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Reduce validation errors to `type loc msg`: what was sent is never sent back."""
    return [
        {
            "type": str(item.get("type", "value_error")),
            "loc": [part if isinstance(part, int) else str(part)[:_MAX_LOC] for part in item.get("loc", ())],
            "msg": str(item.get("msg", "")),
        }
        for item in list(found)[:_MAX_ERRORS]
    ]


async def _on_unhandled(request: Request, error: Exception) -> Response:
    return respond(request, 500, "Something went wrong here. Look for the request id in the logs.")


async def _on_departure(request: Request, error: Exception) -> Response:
    # The caller left before all was sent: nobody is there to be told, and nothing is wrong here.
    return Response(status_code=CLIENT_CLOSED)


def install(app: FastAPI) -> None:
    """Make every error of the application a problem, those of the router and of FastAPI included."""
    app.add_exception_handler(ClientDisconnect, _on_departure)
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(Exception, _on_unhandled)


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Answer what `responses=` of a route takes, for the statuses that it alone can answer.

    400, 401, 403, 413, 422 and 500 are declared on every operation already.
    """
    return {
        status: {
            "description": title_of(status),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }
