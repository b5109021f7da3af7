"""Routes of the library itself, which must cost the service's own routes next to nothing."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope


class FixedRoute(APIRoute):
    """A route told apart by comparing the beginning of its path, or all of it: each request passes it."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self._fixed, brace, _ = self.path.partition("{")
        self._is_whole = not brace

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Look closer only where the path fits; below a `root_path` the framework's own rules decide."""
        if not scope.get("root_path"):
            path = scope["path"]
            if path != self._fixed if self._is_whole else not path.startswith(self._fixed):
                return Match.NONE, {}
        return super().matches(scope)


def add_fixed(app: FastAPI, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
    """Add `GET path`, straight to the application: an included router would be searched for every request."""
    app.router.add_api_route(path, endpoint, methods=["GET"], route_class_override=FixedRoute, **options)
