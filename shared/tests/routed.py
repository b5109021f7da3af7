"""Applications whose routes tell how they were found, with an index of them and without."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import APIRoute
from fountain_common.middleware import route_template
from fountain_common.route_index import RouteIndex
from starlette.routing import Match
from starlette.types import Scope

UUID = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
Build = Callable[[FastAPI], None]


class Answer(NamedTuple):
    """What was answered, and which endpoint did it; nothing of one that none of ours has answered."""

    status: int
    allow: frozenset[str]
    found: Any


def show(name: str) -> Callable[[Request], Any]:
    """An endpoint that tells how it was found."""

    async def endpoint(request: Request) -> dict[str, Any]:
        scope = request.scope
        parameters = request.path_params
        return {
            "name": name,
            "endpoint": scope["endpoint"] is endpoint,
            "parameters": {key: repr(value) for key, value in parameters.items()},
            "route": scope["route"].path,
            "template": route_template(scope),
            "router": scope["router"] is scope["app"].router,
            "url": str(request.url_for(name, **parameters)),
        }

    return endpoint


def add(router: FastAPI | APIRouter, name: str, path: str, *methods: str, **options: Any) -> None:
    router.add_api_route(path, show(name), methods=list(methods or ("GET",)), name=name, **options)


async def ask(app: Any, method: str, path: str, **more: Any) -> Answer:
    scope = {
        "type": "http", "method": method, "path": path, "raw_path": b"", "query_string": b"", "headers": [],
        "client": ("127.0.0.1", 5000), "server": ("127.0.0.1", 80), "scheme": "http", "http_version": "1.1",
        **more,
    }  # fmt: skip
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start, *parts = sent
    headers = {name: value.decode() for name, value in start["headers"]}
    body = b"".join(part.get("body", b"") for part in parts)
    found = (
        json.loads(body) if start["status"] == 200 and b"json" in headers[b"content-type"].encode() else None
    )
    return Answer(start["status"], frozenset(headers.get(b"allow", "").split(", ")), found)


def application(build: Build, *, indexed: bool) -> FastAPI:
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    build(app)
    if indexed:
        app.router.middleware_stack = RouteIndex(app.router)
    return app


def found(build: Build, path: str, method: str = "GET", **more: Any) -> Answer:
    """What both answer, and it is the same."""
    answers = [
        asyncio.run(ask(application(build, indexed=indexed), method, path, **more))
        for indexed in (True, False)
    ]
    assert answers[0] == answers[1]
    return answers[0]


def name_of(answer: Answer) -> str:
    assert answer.status == 200
    assert answer.found["endpoint"]
    return str(answer.found["name"])


def templates(*paths: str) -> Build:
    def build(app: FastAPI) -> None:
        for path in paths:
            add(app, path, path)

    return build


class Asked(APIRoute):
    """A route that answers every path that ends in its own."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["path"].endswith(self.path):
            return Match.FULL, {"endpoint": self.endpoint, "path_params": {}, "route": self}
        return Match.NONE, {}
