"""Routes of the library itself, which must cost the service's own routes next to nothing."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope


class FixedRoute(APIRoute):
    """A route without parameters, told apart by comparing strings: each request passes it."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Look closer only at its own path; below a `root_path` the framework's own rules decide."""
        if scope.get("path") != self.path and not scope.get("root_path"):
            return Match.NONE, {}
        return super().matches(scope)


def add_fixed(app: FastAPI, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
    """Add `GET path`, straight to the application: an included router would be searched for every request."""
    app.router.add_api_route(path, endpoint, methods=["GET"], route_class_override=FixedRoute, **options)
