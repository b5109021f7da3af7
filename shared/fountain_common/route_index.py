"""Finds the route of a request at once, where the framework asks one route after the other, and those of an
included router twice.

The routes are the application's own, as the framework made them and in its order: the first that fits is
taken. What is not found here (404, 405, mounts, WebSockets, all below a `root_path`) goes the framework's
way.
"""

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute, APIWebSocketRoute, RouteContext, iter_route_contexts
from starlette.convertors import FloatConvertor, IntegerConvertor, StringConvertor, UUIDConvertor
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

_OF_ONE_PART = frozenset({FloatConvertor, IntegerConvertor, StringConvertor, UUIDConvertor})


class RouteIndex:
    """The router's application, with an index in front.

    Args:
        router: the application's, with its routes. Those added later are the framework's to find.
    """

    def __init__(self, router: APIRouter) -> None:
        self._router = router
        self._parted: dict[tuple[str, int], list[_Entry]] = {}
        fixed: dict[tuple[str, str], _Entry] = {}
        for entry in _entries(router):
            for method in entry.methods:
                if entry.parameters:
                    self._parted.setdefault((method, entry.path.count("/")), []).append(entry)
                elif self._search(method, entry.path) is None:
                    # One with a parameter that comes before and fits as well hides it.
                    fixed.setdefault((method, entry.path), entry)
        self._fixed = fixed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        # One within another application is that one's to place.
        if scope["type"] == "http" and not scope.get("root_path") and "router" not in scope:
            method, path = scope["method"], scope["path"]
            entry = self._fixed.get((method, path))
            found = (entry, {}) if entry is not None else self._search(method, path)
            if found is not None:
                entry, parameters = found
                scope["router"], scope["path_params"] = self._router, parameters
                scope["route"], scope["endpoint"] = entry.route, entry.endpoint
                # The template with all its prefixes is the context's.
                scope.setdefault("fastapi", {})["effective_route_context"] = entry.context
                await entry.app(scope, receive, send)
                return
        await self._router.app(scope, receive, send)

    def _search(self, method: str, path: str) -> "tuple[_Entry, dict[str, Any]] | None":
        # A parameter stands for one part of a path, so that its slashes can be counted.
        if "\n" in path:
            # The framework takes a line's end at the end of a path for no part of it.
            return None
        for entry in self._parted.get((method, path.count("/")), ()):
            match = entry.regex.match(path)
            if match is not None:
                convertors = entry.parameters
                return entry, {
                    name: convertors[name].convert(value) for name, value in match.groupdict().items()
                }
        return None


class _Entry:
    """One route: its template, and what the framework would put into the scope and call."""

    __slots__ = ("app", "context", "endpoint", "methods", "parameters", "path", "regex", "route")

    def __init__(self, context: RouteContext) -> None:
        self.context, self.route = context, context.original_route
        self.app: ASGIApp = context.app
        self.endpoint = context.endpoint
        self.methods = tuple(context.methods or ())
        self.path, self.regex = str(context.path_format), context.path_regex
        self.parameters = dict(context.param_convertors)


def _entries(router: APIRouter) -> Iterator[_Entry]:
    """Return the routes up to the first that cannot be found here: none behind it may come before it."""
    if router.form_limits:
        return
    for route in router.routes:
        for context in iter_route_contexts([route]):
            original = context.original_route
            if isinstance(original, APIWebSocketRoute):
                continue
            if not _can_be_found(context) or _has_a_way_of_its_own(route):
                return
            yield _Entry(context)


def _can_be_found(context: RouteContext) -> bool:
    route = context.original_route
    return (
        isinstance(route, APIRoute)
        # One without methods answers them all.
        and bool(context.methods)
        # One with a way of its own to match or to answer is asked.
        and (type(route).matches, type(route).handle) == (APIRoute.matches, APIRoute.handle)
        and {type(each) for each in context.param_convertors.values()} <= _OF_ONE_PART
    )


def _has_a_way_of_its_own(route: BaseRoute) -> bool:
    """Tell whether a router on the way to a route, or beside it, is more than its routes: by what it is, or
    by limits for forms, which the framework adds up there.
    """
    included: Any = getattr(route, "original_router", None)
    if included is None:
        return False
    context: Any = getattr(route, "include_context", None)
    return (
        (type(included).matches, type(included).handle) != (APIRouter.matches, APIRouter.handle)
        or bool(context.form_limits or included.form_limits)
        or any(map(_has_a_way_of_its_own, included.routes))
    )
