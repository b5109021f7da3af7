"""The action service: what characters do, in order."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from action.routes import router
from action.service import Actions
from action.settings import Settings
from fastapi import FastAPI
from fountain_common import create_service
from fountain_common.db import Database
from fountain_common.outbox import OutboxDispatcher
from fountain_common.settings import load

settings = load(Settings)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the database and hand its events on."""
    platform = app.state.platform
    db = Database(settings.effective_database_url, password=settings.database_password)
    db.migrate(Path(__file__).parent / "action" / "migrations")
    app.state.actions = Actions(db, lambda: datetime.now(UTC))
    platform.health.add("database", db.check)
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
    title="Action",
    description="Actions of characters, numbered without a gap for each character in the order of making.",
    version="1.0.0",
    routers=[router],
    lifespan=lifespan,
)
