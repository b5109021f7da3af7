"""Who is calling, and may they? A bearer token or an API key, and role-based permissions.

@router.post("/notifications")
async def publish(caller: Annotated[Caller, requires(Permission.EVENTS_PUBLISH)]) -> ...
"""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Depends
from starlette.requests import HTTPConnection

from fountain_common.errors import BadRequest, Forbidden, Unauthenticated
from fountain_common.requests import HEADERS, current, sole_bearer_token
from fountain_common.tokens import Caller
from fountain_common.verifier import KeySource, TokenVerifier

__all__ = ["Caller", "KeySource", "TokenVerifier", "authenticate", "requires"]


async def authenticate(request: HTTPConnection) -> Caller:
    """Return who sent a request, or wants to open a WebSocket.

    Raises:
        BadRequest: two credentials at once.
        Unauthenticated: none, or one that is not honoured.
        Unavailable: it cannot be judged now.
    """
    caller = await _judge(request)
    if request.scope["type"] == "websocket":
        # It outlives the question: it ends when this caller's token does.
        request.state.caller = caller
    return caller


def _recognised(request: HTTPConnection) -> Caller | None:
    """Return who sent a request, if its token is known; None says nothing."""
    scope = request.scope
    given = scope.get(HEADERS)
    # A service's own middleware may have put others in their place.
    if given is None or given[0] != scope["headers"] or scope["type"] != "http":
        return None
    token = sole_bearer_token(given[1])
    caller: Caller | None = request.app.state.platform.verifier.known(token) if token else None
    return caller


async def _judge(request: HTTPConnection) -> Caller:
    platform = request.app.state.platform
    authorization, api_key = request.headers.get("authorization"), request.headers.get("x-api-key")
    if sum(len(request.headers.getlist(name)) for name in ("authorization", "x-api-key")) > 1:
        # What stands before us may judge by another of them than we do.
        raise BadRequest("Send one credential: one Authorization header or one X-API-Key header.")
    if authorization is not None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            return await _verified(platform, token.strip())
    elif api_key is not None and platform.api_keys is not None:
        return await _by_api_key(platform, api_key)
    realm = platform.settings.service_name
    raise Unauthenticated(
        "Send an access token as Authorization: Bearer <token>, or an API key as X-API-Key.",
        headers={"WWW-Authenticate": f'Bearer realm="{realm}"'},
    )


async def _verified(platform: Any, token: str) -> Caller:
    caller: Caller = await platform.verifier.verify(token)
    return caller


async def _by_api_key(platform: Any, api_key: str) -> Caller:
    context = current()
    client = context.client if context else ""
    token = await platform.api_keys.exchange(api_key, client)
    try:
        return await _verified(platform, token)
    except Unauthenticated:
        # The token is not honoured any more, which says nothing about the key: what signed it may have gone.
        forget = getattr(platform.api_keys, "forget", None)
        if forget is None:
            raise
        forget(api_key, token)
    return await _verified(platform, await platform.api_keys.exchange(api_key, client))


def requires(*permissions: str) -> Any:
    """Return a dependency that lets in callers with all these permissions and answers who it is.

    Without permissions anybody with a valid credential is let in.

    Args:
        *permissions: `Permission` members, or words `<resource>:<action>` of a service's own.
    """
    wanted = tuple(str(permission) for permission in permissions)

    async def caller_with_permission(request: HTTPConnection) -> Caller:
        # Most have been verified before, and are recognised without a detour.
        caller = _recognised(request) or await authenticate(request)
        for permission in wanted:
            if not caller.may(permission):
                raise Forbidden.missing(permission, caller.roles)
        return caller

    # What an operation needs can be read from its dependency, for documentation and for conformance checks.
    caller_with_permission.permissions = wanted  # type: ignore[attr-defined]
    dependency: Callable[[HTTPConnection], Awaitable[Caller]] = caller_with_permission
    return Depends(dependency)
