"""The two-factor service: authenticators, recovery codes, and one-time codes that go out as events."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fountain_common import Sealer, create_platform, create_service, load, open_store
from two_factor.routes import router
from two_factor.service import Factors
from two_factor.settings import Settings

settings = load(Settings)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the database, hand its events on, follow rotations of the data key."""
    platform = app.state.platform
    async with open_store(platform, Path(__file__).parent / "two_factor" / "migrations") as db:
        app.state.factors = factors = Factors(db, Sealer.of(platform.secrets), settings.otp_issuer, time.time)
        # Before this instance says that it uses a new data key, nothing is left that needs the old one.
        platform.secrets.on_rotation(lambda _version: factors.seal_anew())
        await factors.seal_anew()
        yield


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
