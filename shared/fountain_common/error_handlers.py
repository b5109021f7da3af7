"""Turns every error of an application into a problem (RFC 9457), those of the framework included."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection

from fountain_common.errors import CLIENT_CLOSED, MEDIA_TYPE, Problem, document, title_of

_MAX_ERRORS = 20
_MAX_LOC = 100
_UNREADABLE = "The request body could not be read. Send it complete, in the form that Content-Type names."


def respond(
    request: HTTPConnection,
    status: int,
    detail: str | None,
    headers: Mapping[str, str] | None = None,
    members: Mapping[str, object] | None = None,
) -> Response:
    """Return a problem as a response; the request id comes from the request's own state."""
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
