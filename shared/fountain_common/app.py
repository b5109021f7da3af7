"""`create_service`: one call makes a FastAPI application a service of the platform.

What it gives is described in `docs/rules.md`.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Protocol, cast

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.types import ASGIApp

from fountain_common import error_handlers, openapi
from fountain_common.docs import add_docs
from fountain_common.guard import OPEN, require_guards
from fountain_common.health import Health, HealthCheck, add_health
from fountain_common.landing import add_landing
from fountain_common.logging import get_logger
from fountain_common.metrics import Metrics, add_metrics
from fountain_common.middleware import RequestLayer
from fountain_common.requests import Edge
from fountain_common.route_index import RouteIndex
from fountain_common.settings import ServiceSettings
from fountain_common.shortcuts import Shortcut, require_operations
from fountain_common.tracing import telemetry_config

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[Any]]


class PlatformParts(Protocol):
    """What `create_service` needs of a platform; `fountain_common.platform.Platform` is one."""

    health: Health
    metrics: Metrics
    routers: tuple[APIRouter, ...]

    def describe(self, title: str, description: str, version: str) -> None:
        """Take what the catalog shows of the service."""
        ...

    async def start(self) -> None:
        """Begin, before the service's own lifespan."""
        ...

    async def announce(self) -> None:
        """Make the service known: it can do its job now."""
        ...

    async def withdraw(self) -> None:
        """Take that back, before the service's own lifespan ends."""
        ...

    async def stop(self) -> None:
        """End, after the service's own lifespan; also after a start that failed."""
        ...


class Alone:
    """A platform without peers: health and metrics, and nobody to talk to."""

    routers: tuple[APIRouter, ...] = ()

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings
        self.health = Health(settings.service_name)
        self.metrics = Metrics(settings.service_name)

    def describe(self, title: str, description: str, version: str) -> None:
        """There is no catalog."""

    async def start(self) -> None:
        """There is nobody to find."""

    async def announce(self) -> None:
        """There is nobody to tell."""

    async def withdraw(self) -> None:
        """There is nobody to tell."""

    async def stop(self) -> None:
        """There is nobody to leave."""


class Service(FastAPI):
    """A FastAPI application inside the request layer."""

    layer: Callable[[ASGIApp], ASGIApp]
    indexed: bool

    def build_middleware_stack(self) -> ASGIApp:
        """Put the request layer around everything, FastAPI's own error page included, and an index before
        the routes.
        """
        if self.indexed:
            self.router.middleware_stack = RouteIndex(self.router)
        return self.layer(super().build_middleware_stack())


def camel_case_id(route: APIRoute) -> str:
    """Return an operationId from the name of the function: `get_thing` is `getThing`."""
    first, *rest = route.name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def create_service(
    settings: ServiceSettings,
    *,
    title: str,
    description: str,
    version: str,
    routers: Sequence[APIRouter] = (),
    lifespan: Lifespan | None = None,
    platform: PlatformParts | None = None,
    health_checks: Sequence[HealthCheck] = (),
    public_paths: Iterable[str] = (),
    landing: bool = True,
    stream_paths: Iterable[str] = (),
    shortcuts: Sequence[Shortcut] = (),
) -> FastAPI:
    """Make an application that keeps what every service keeps.

    Args:
        settings: the service's own.
        title, description, version: shown on the landing page, in the documentation and in the catalog; the
            description has at most 300 characters.
        routers: the service's own routes.
        lifespan: run after the platform has started and before the service registers itself.
        platform: the way to the peers; made from the settings if not given. `Alone(settings)` has none.
        health_checks: more checks for `/health`; `app.state.platform.health.add` does the same.
        public_paths: templates of the service's routes that need no credential; every other one must
            declare `requires`.
        landing: False for a service that has a page of its own at `/`.
        stream_paths: templates of routes that answer as long as the caller stays.
        shortcuts: short ways beside the hottest operations; not taken while spans are made, as a span learns
            its route from the framework.
    """
    public = tuple(public_paths)
    parts = platform if platform is not None else _default_platform(settings)
    parts.health.version = version
    parts.metrics.identify(settings.service_name, version)
    parts.describe(title, description, version)
    app = Service(
        title=title,
        description=description,
        version=version,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=_lifespan(parts, lifespan, public),
        generate_unique_id_function=camel_case_id,
        telemetry=cast("Any", telemetry_config(settings.tracing)),
        redirect_slashes=False,
    )
    app.state.platform = parts
    app.state.settings = settings
    edge = Edge(settings.edge_host, local=settings.runtime == "local")
    streams = tuple(stream_paths)
    app.layer = lambda inner: RequestLayer(
        inner,
        metrics=parts.metrics,
        edge=edge,
        max_body_bytes=settings.max_body_bytes,
        tracing=settings.tracing,
        stream_paths=streams,
        shortcuts=() if settings.tracing else shortcuts,
    )
    # A span learns its route from the framework's own search.
    app.indexed = not settings.tracing
    error_handlers.install(app)
    if landing:
        add_landing(app, settings)
    add_health(app, parts.health, health_checks)
    add_metrics(app, parts.metrics)
    add_docs(app)
    for router in (*parts.routers, *routers):
        app.include_router(router)
    require_guards(app, public)
    require_operations(app, shortcuts)
    openapi.install(app, public_paths=(*OPEN, *public))
    return app


def _default_platform(settings: ServiceSettings) -> PlatformParts:
    from fountain_common.platform import create_platform

    return cast("PlatformParts", create_platform(settings))


def _lifespan(parts: PlatformParts, own: Lifespan | None, public: tuple[str, ...]) -> Lifespan:
    @asynccontextmanager
    async def run(app: FastAPI) -> AsyncIterator[None]:
        # Once more, as routes may have been added since.
        require_guards(app, public)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(parts.stop)
            try:
                await parts.start()
                if own is not None:
                    await stack.enter_async_context(own(app))
                stack.push_async_callback(parts.withdraw)
                await parts.announce()
            except Exception as error:
                # The server says that the start failed, and not where.
                get_logger().critical("start_failed", exc_info=error)
                raise
            yield

    return run
