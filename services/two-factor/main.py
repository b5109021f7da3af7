"""The two-factor service: authenticators, recovery codes, and one-time codes that go out as events."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fountain_common import create_service
from fountain_common.db import Database
from fountain_common.outbox import OutboxDispatcher
from fountain_common.platform import create_platform
from fountain_common.sealing import Sealer
from fountain_common.settings import load
from two_factor.routes import router
from two_factor.service import Factors
from two_factor.settings import Settings

settings = load(Settings)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the database, follow rotations of the data key, hand events on."""
    platform = app.state.platform
    db = Database(settings.effective_database_url, password=settings.database_password)
    db.migrate(Path(__file__).parent / "two_factor" / "migrations")
    factors = Factors(db, Sealer.of(platform.secrets), settings.otp_issuer, time.time)
    app.state.factors = factors
    platform.health.add("database", db.check)
    # Before this instance says that it uses a new data key, nothing is left that needs the old one.
    platform.secrets.on_rotation(lambda _version: factors.seal_anew())
    await factors.seal_anew()
    events = platform.events
    outbox = OutboxDispatcher(
        db, events.publish, publish_all=events.publish_all, registry=platform.metrics.registry
    )
    await outbox.start()
    try:
        yield
    finally:
        await outbox.stop()
        await db.close()


app = create_service(
    settings,
    platform=create_platform(settings, hosts=["2fa"]),
    title="Two-Factor",
    description="Second factors for people: authenticator apps by RFC 6238, recovery codes, "
    "and one-time codes that go out as events.",
    version="1.0.0",
    routers=[router],
    lifespan=lifespan,
)
