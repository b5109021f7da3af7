"""Routes of the library itself, which must cost the service's own routes next to nothing."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope


class FixedRoute(APIRoute):
    """A route told apart by comparing the beginning of its path, or all of it: each request passes it."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Look closer only where the path fits; below a `root_path` the framework's own rules decide."""
        if not scope.get("root_path"):
            path, (fixed, _, parameters) = scope["path"], self.path.partition("{")
            if not (path.startswith(fixed) if parameters else path == fixed):
                return Match.NONE, {}
        return super().matches(scope)


def add_fixed(app: FastAPI, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
    """Add `GET path`, straight to the application: an included router would be searched for every request."""
    app.router.add_api_route(path, endpoint, methods=["GET"], route_class_override=FixedRoute, **options)
