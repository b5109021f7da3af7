"""The notification service: a durable event log, pushed to streams and subscriptions, losing none."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fountain_common.app import create_service
from fountain_common.metrics import Metrics
from fountain_common.platform import create_platform
from fountain_common.settings import load
from notification.board import Board
from notification.local import LocalFeed, LocalPublisher
from notification.routes_batches import router as batches_router
from notification.routes_deliveries import router as deliveries_router
from notification.routes_events import publishing as publishing_router
from notification.routes_events import router as events_router
from notification.routes_streams import STREAM_PATH
from notification.routes_streams import router as streams_router
from notification.routes_subscriptions import router as subscriptions_router
from notification.settings import Settings
from notification.shortcut_publish import PUBLISH, PUBLISH_BATCH

TITLE = "Notification"
VERSION = "1.0.0"
DESCRIPTION = (
    "The nervous system of the platform: a durable event log, pushed to every stream and every subscription, "
    "in order and at least once."
)


settings = load(Settings)
metrics = Metrics(settings.service_name)
board = Board(settings, metrics)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Serve what waits from the moment that the service can be called, and end it before the peers are let
    go.
    """
    try:
        await board.start()
        yield
    finally:
        await board.stop()
        await board.close()


# It publishes and listens without leaving the process; for everything else it is a service like the others.
platform = create_platform(settings, metrics=metrics, publisher=LocalPublisher(board), feed=LocalFeed(board))
board.attach(platform)

app = create_service(
    settings,
    title=TITLE,
    description=DESCRIPTION,
    version=VERSION,
    routers=[
        publishing_router,
        batches_router,
        streams_router,
        events_router,
        subscriptions_router,
        deliveries_router,
    ],
    lifespan=lifespan,
    platform=platform,
    stream_paths=[STREAM_PATH],
    shortcuts=[PUBLISH, PUBLISH_BATCH],
)
app.state.board = board
