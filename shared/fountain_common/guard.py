"""No operation is open by oversight: each is named public or says whom it lets in."""

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute, APIWebSocketRoute, iter_route_contexts

OPEN = frozenset({"/", "/health", "/metrics", "/docs", "/docs/assets/{name}", "/openapi.json"})
"""What every service shows to anybody."""


class UnguardedOperation(TypeError):
    """A route lets everybody in and nobody said that it should; the application is not made."""


def require_guards(app: FastAPI, public_paths: Iterable[str]) -> None:
    """Raise unless every operation declares `requires(...)` or its path is public.

    A dependency guards if it carries `permissions`, as those of `requires` do.

    Raises:
        UnguardedOperation: names each and says what to do.
    """
    public = OPEN | frozenset(public_paths)
    found = [
        f"{'/'.join(sorted(route.methods or ())) or 'WEBSOCKET'} {route.path}"
        for route in iter_route_contexts(app.routes)
        if route.path not in public and not _is_guarded(route)
    ]
    if found:
        raise UnguardedOperation(
            f"Anybody could call {', '.join(found)}: declare a parameter `caller: Annotated[Caller, "
            "requires(...)]`, or name the path in `public_paths` of create_service."
        )


def _is_guarded(route: Any) -> bool:
    if not isinstance(route.original_route, APIRoute | APIWebSocketRoute):
        return False
    return _guards(route.dependant)


def _guards(dependant: Any) -> bool:
    if hasattr(dependant.call, "permissions"):
        return True
    return any(_guards(part) for part in dependant.dependencies)
