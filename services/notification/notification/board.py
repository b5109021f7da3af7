"""The service's parts, put together, and their life from start to stop."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from fountain_common.db import Database
from fountain_common.journal import move_journal_rarely
from fountain_common.metrics import Metrics
from fountain_common.platform import Platform
from fountain_common.sealing import Sealer
from fountain_common.tokens import Caller

from notification.dispatcher import Dispatcher
from notification.housekeeping import Housekeeping
from notification.lease import WriterLease
from notification.log import EventLog
from notification.mark import MarkFile
from notification.metrics import DeliveryMetrics, LogMetrics, StreamMetrics
from notification.scrub import overwrite_what_is_deleted
from notification.sender import Guard
from notification.settings import Settings
from notification.streams import Streams
from notification.subscriptions import Subscriptions

MIGRATIONS = Path(__file__).with_name("migrations")


class Board:
    """Everything that the routes work with.

    Args:
        settings: of this service.
        metrics: takes what is counted.

    Attributes:
        database, log, streams, subscriptions: see their modules; usable once `open` has returned.
    """

    def __init__(self, settings: Settings, metrics: Metrics, guard: Guard | None = None) -> None:
        self.settings = settings
        self.database = Database(settings.effective_database_url, password=settings.database_password)
        overwrite_what_is_deleted(self.database)
        move_journal_rarely(self.database)
        self.log = EventLog(self.database, mark=MarkFile(settings.data_dir))
        self.metrics = LogMetrics.of(metrics.registry)
        self._platform: Platform | None = None
        self.streams = Streams(
            self.log,
            StreamMetrics.of(metrics.registry),
            heartbeat_seconds=settings.stream_heartbeat_seconds,
            max_streams=settings.max_streams,
            revoked=self._revoked,
        )
        guard = guard or Guard(settings.webhook_allowed_networks)
        sealer = Sealer(self._data_keys, self._earlier_data_keys)
        delivery_metrics = DeliveryMetrics.of(metrics.registry)
        self._dispatcher = Dispatcher(
            self.log,
            self.database,
            settings,
            delivery_metrics,
            guard=guard,
            platform=lambda: self.platform,
            sealer=sealer,
        )
        self.subscriptions = Subscriptions(
            self.database, self.log, self._dispatcher, guard, sealer, delivery_metrics
        )
        self.housekeeping = Housekeeping(self.log, self.database, settings, delivery_metrics)
        self._lease = WriterLease(self.database, settings.data_dir)
        self._opening = asyncio.Lock()
        self._is_open = False
        self._ending: asyncio.Task[None] | None = None

    @property
    def platform(self) -> Platform:
        """The way to the peers."""
        assert self._platform is not None, "attach a platform first"  # noqa: S101 - an error of ours, not of a caller
        return self._platform

    def attach(self, platform: Platform) -> None:
        """Take the platform that was made with this board as its publisher and feed."""
        self._platform = platform
        platform.verifier.on_revocation(self.streams.end_revoked)
        if platform.secrets is not None:
            platform.secrets.on_rotation(self._data_key_rotated)

    def _revoked(self, caller: Caller) -> bool:
        return self.platform.verifier.revoked(caller)

    def _data_keys(self) -> list[str]:
        secrets = self.platform.secrets
        return [value for _, value in secrets.accepted("DATA_KEY")] if secrets is not None else []

    async def _earlier_data_keys(self) -> AsyncIterator[str]:
        if self.platform.secrets is not None:
            async for _, value in self.platform.secrets.earlier("DATA_KEY"):
                yield value

    async def _data_key_rotated(self, _version: int) -> None:
        """Seal what is stored with the new key; only then is it acknowledged as used, and the old one may
        go.
        """
        if self._is_open:
            # One that waits to be the writer has nothing to seal yet: `start` does it.
            await self.subscriptions.reseal()

    async def open(self) -> None:
        """Become the one writer, bring the tables up to date, and read where the log ends. Doing it again
        does nothing.
        """
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
        self.platform.health.add("database", self.database.check)
        self.streams.start()
        self.housekeeping.start()
        await self.subscriptions.reseal()
        await self._dispatcher.start()
        self._ending = asyncio.create_task(self._end_streams(), name="end streams")

    async def _end_streams(self) -> None:
        # The server waits for open answers before it stops: they end as soon as it is about to.
        await self.platform.stopping.wait()
        await self.streams.stop()

    async def stop(self) -> None:
        """End streams and work under way."""
        if self._ending is not None:
            self._ending.cancel()
            await asyncio.gather(self._ending, return_exceptions=True)
        await self.streams.stop()
        await self._dispatcher.stop()
        await self.housekeeping.stop()

    async def close(self) -> None:
        """Store what waits, and let go of the database; the last act."""
        await self.log.close()
        await self.database.close()
        await self._lease.release()
