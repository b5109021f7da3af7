"""The gateway: which service runs where, is it well, and where does a subdomain go."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fountain_common import create_service
from fountain_common.db import Database
from fountain_common.identity import Identity
from fountain_common.requests import Edge
from fountain_common.settings import load
from fountain_common.store import dispatch_outbox
from gateway_lookup import routes_catalog, routes_edge, routes_lookup, routes_pages, routes_registry
from gateway_lookup.catalog import Catalogue
from gateway_lookup.fetch import Fetcher
from gateway_lookup.inside import OwnDirectory, OwnRegistry, ServesFirst
from gateway_lookup.observations import Observations
from gateway_lookup.service import Gateway
from gateway_lookup.settings import GatewaySettings
from gateway_lookup.shortcut_lookup import LOOK_UP
from gateway_lookup.watcher import Watcher

settings = load(GatewaySettings)
db = Database(settings.effective_database_url, password=settings.database_password)
gateway = Gateway(settings, db)
seen = Observations()
identity = Identity(settings)
platform = ServesFirst(
    settings,
    {
        "identity": identity,
        "directory": OwnDirectory(gateway.registry),
        "registry": OwnRegistry(gateway),
        "secrets": None,
    },
)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Take up the stored leases, watch them, and hand events on."""
    async with AsyncExitStack() as closing:
        closing.push_async_callback(db.close)
        db.migrate(Path(__file__).parent / "gateway_lookup" / "migrations")
        # Before anything is handed on: the way to whom it is handed is among what is loaded.
        await gateway.load()
        platform.health.add("database", db.check)
        app.state.watcher = watcher = Watcher(
            gateway, Fetcher(platform.connections, identity.ssl_context), seen
        )
        closing.push_async_callback(watcher.stop)
        await watcher.start()
        await closing.enter_async_context(dispatch_outbox(platform, db))
        yield


app = create_service(
    settings,
    title="Gateway",
    description="The gateway of the platform: it knows which service runs where and how it is, "
    "answers lookups, and shows every service and its operations.",
    version="1.0.0",
    routers=[
        routes_pages.router,
        routes_lookup.router,
        routes_registry.router,
        routes_catalog.router,
        routes_edge.router,
    ],
    lifespan=lifespan,
    platform=platform,
    landing=False,
    public_paths=[
        "/apis",
        "/apis/{serviceName}/openapi.json",
        "/assets/{name}",
        "/internal/route",
        "/internal/tls-ask",
    ],
    shortcuts=[LOOK_UP],
)
app.state.gateway = gateway
app.state.catalogue = Catalogue(settings, gateway.registry, seen)
app.state.edge = Edge(settings.edge_host, local=settings.runtime == "local")
