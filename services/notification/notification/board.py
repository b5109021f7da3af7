"""The service's parts, put together, and their life from start to stop."""

import asyncio
from pathlib import Path

from fountain_common.db import Database
from fountain_common.metrics import Metrics
from fountain_common.platform import Platform

from notification.lease import WriterLease
from notification.log import EventLog
from notification.metrics import LogMetrics, StreamMetrics
from notification.settings import Settings
from notification.streams import Streams

MIGRATIONS = Path(__file__).with_name("migrations")


class Board:
    """Everything that the routes work with.

    Args:
        settings: of this service.
        metrics: takes what is counted.

    Attributes:
        database, log, streams: see their modules; usable once `open` has returned.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.settings = settings
        self.database = Database(settings.effective_database_url, password=settings.database_password)
        self.log = EventLog(self.database)
        self.metrics = LogMetrics.of(metrics.registry)
        self._platform: Platform | None = None
        self.streams = Streams(
            self.log,
            StreamMetrics.of(metrics.registry),
            heartbeat_seconds=settings.stream_heartbeat_seconds,
            max_streams=settings.max_streams,
            revoked=lambda caller: self.platform.verifier.revoked(caller),
        )
        self._lease = WriterLease(self.database, settings.data_dir)
        self._opening = asyncio.Lock()
        self._is_open = False

    @property
    def platform(self) -> Platform:
        """The way to the peers."""
        assert self._platform is not None, "attach a platform first"  # noqa: S101 - an error of ours, not of a caller
        return self._platform

    def attach(self, platform: Platform) -> None:
        """Take the platform that was made with this board as its publisher and feed."""
        self._platform = platform
        platform.verifier.on_revocation(self.streams.end_revoked)

    async def open(self) -> None:
        """Become the one writer, bring the tables up to date, and read where the log ends. Doing it again does nothing."""
        async with self._opening:
            if self._is_open:
                return
            await self._lease.acquire()
            await asyncio.to_thread(self.database.migrate, MIGRATIONS)
            await self.log.open()
            self._is_open = True

    async def start(self) -> None:
        """Begin to serve streams and to look after what is stored."""
        await self.open()
        self.streams.start()

    async def stop(self) -> None:
        """End streams and work under way."""
        await self.streams.stop()

    async def close(self) -> None:
        """Store what waits, and let go of the database; the last act."""
        await self.log.close()
        await self.database.close()
        self._lease.release()
