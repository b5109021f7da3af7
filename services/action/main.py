"""The action service: what characters do, in order."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from action.routes import router
from action.service import Actions
from action.settings import Settings
from fastapi import FastAPI
from fountain_common import create_service, load, open_store

settings = load(Settings)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the database and hand its events on."""
    async with open_store(app.state.platform, Path(__file__).parent / "action" / "migrations") as db:
        app.state.actions = Actions(db, lambda: datetime.now(UTC))
        yield


app = create_service(
    settings,
    title="Action",
    description="Actions of characters, numbered without a gap for each character in the order of making.",
    version="1.0.0",
    routers=[router],
    lifespan=lifespan,
)
