"""A service's own store: its database, and the outbox whose events go to the notification service.

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_store(app.state.platform, MIGRATIONS) as db:
            app.state.orders = Orders(db)
            yield

What an application opens in its lifespan is open before the service makes itself known, and closed after it
has withdrawn.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fountain_common.db import Database
from fountain_common.outbox import OutboxDispatcher
from fountain_common.platform import Platform

__all__ = ["dispatch_outbox", "open_store"]


@asynccontextmanager
async def open_store(platform: Platform, migrations: Path | str) -> AsyncIterator[Database]:
    """Open the database that the service's settings name, and close it, whatever happens in between.

    At the start: the schema is brought to its newest migration, `/health` watches the database, and events
    that wait in the outbox are handed on. At the end, backwards.

    Args:
        platform: the service's: `app.state.platform`.
        migrations: the folder of the Alembic migrations; one of them makes the table of the outbox.
    """
    settings = platform.settings
    db = Database(settings.effective_database_url, password=settings.database_password)
    try:
        db.migrate(migrations)
        platform.health.add("database", db.check)
        async with dispatch_outbox(platform, db):
            yield db
    finally:
        await db.close()


@asynccontextmanager
async def dispatch_outbox(platform: Platform, db: Database) -> AsyncIterator[OutboxDispatcher]:
    """Hand on the events in this database's outbox; for those who open their database themselves.

    Args:
        platform: the service's, which publishes them.
        db: with the table of the outbox.
    """
    events = platform.events
    if events is None:
        raise ValueError(f"{platform.settings.service_name} publishes no events: it needs no outbox.")
    registry = platform.metrics.registry
    outbox = OutboxDispatcher(db, events.publish, publish_all=events.publish_all, registry=registry)
    await outbox.start()
    # What waited while the log was away need not wait for its next turn.
    stop_listening = events.when_open(outbox.wake)
    try:
        yield outbox
    finally:
        stop_listening()
        await outbox.stop()
