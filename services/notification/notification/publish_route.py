"""The route that publishes, without FastAPI's resolving of parameters, which costs more than all else there.

The endpoint's signature still says what it takes: from it come the documentation and the permission.
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fountain_common.errors import BadRequest, Unprocessable
from fountain_common.tokens import Caller
from pydantic import TypeAdapter, ValidationError

from notification.payloads import CloudEventIn, EventIn, MessageIn, RotationIn

MAX_KEY_CHARACTERS = 255

_EVENT: TypeAdapter[CloudEventIn | MessageIn | RotationIn] = TypeAdapter(EventIn)


class PublishRoute(APIRoute):
    """See the module."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what handles a request: who may, what, and the endpoint."""
        endpoint: Any = self.dependant.call
        authorise = _authorising(self)

        async def handle(request: Request) -> Response:
            caller = await authorise(request)
            response: Response = await endpoint(
                body=read_event(await request.body()),
                caller=caller,
                request=request,
                idempotency_key=read_key(request.headers.get("idempotency-key")),
            )
            return response

        return handle


def _authorising(route: APIRoute) -> Callable[[Request], Awaitable[Caller]]:
    """Return the dependency of the endpoint that decides who may."""
    for dependency in route.dependant.dependencies:
        if hasattr(dependency.call, "permissions"):
            call: Any = dependency.call
            return call  # type: ignore[no-any-return]
    raise TypeError(f"{route.path} does not say who may call it")


def read_event(raw: bytes) -> CloudEventIn | MessageIn | RotationIn:
    """Return what a request body says.

    Raises:
        BadRequest: it is not JSON.
        RequestValidationError: it is none of the forms.
    """
    try:
        return _EVENT.validate_python(orjson.loads(raw))
    except orjson.JSONDecodeError:
        raise BadRequest("The request body is not valid JSON.") from None
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        raise RequestValidationError([{**item, "loc": ("body", *item["loc"])} for item in found]) from None


def read_key(raw: str | None) -> str | None:
    """Return the Idempotency-Key. Raises `Unprocessable` when it is too long or empty."""
    if raw is not None and not 0 < len(raw) <= MAX_KEY_CHARACTERS:
        raise Unprocessable(f"An Idempotency-Key has 1 to {MAX_KEY_CHARACTERS} characters.")
    return raw
