"""The secrets manager: the only place where secrets and identities live."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fountain_common.app import create_service
from fountain_common.connections import Connections
from fountain_common.settings import load
from secrets_manager import routes_audit, routes_audit_segments, routes_auth, routes_identities
from secrets_manager.core import Core
from secrets_manager.denials import AuditDenials
from secrets_manager.platform_of_issuer import IssuerPlatform
from secrets_manager.routes import ROUTERS
from secrets_manager.settings import Settings
from secrets_manager.shortcuts import SHORTCUTS


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Hand the routes about secrets what they work with; the platform has opened the core by now."""
    app.state.secrets_parts = app.state.core.secrets
    yield


def create_app(settings: Settings, connections: Connections | None = None) -> FastAPI:
    """Make the application; `connections` replaces the network in tests."""
    core = Core(settings)
    app = create_service(
        settings,
        title="Secrets Manager",
        description=(
            "Keeps identities and secrets: issues tokens, stores secrets encrypted, and rotates them so that "
            "every running instance has the new value before anyone uses it, and nobody needs the old one "
            "once it is retired. Every read and write is audited."
        ),
        version="1.0.0",
        routers=[
            routes_auth.router,
            *ROUTERS,
            routes_identities.router,
            routes_audit.router,
            routes_audit_segments.router,
        ],
        lifespan=lifespan,
        platform=IssuerPlatform(settings, core, connections),
        public_paths=[
            "/auth/token",
            "/.well-known/jwks.json",
            "/.well-known/oauth-authorization-server",
            "/.well-known/revocations",
        ],
        shortcuts=SHORTCUTS,
    )
    app.state.core = core
    app.add_middleware(AuditDenials, core=core)
    return app


app = create_app(load(Settings))
