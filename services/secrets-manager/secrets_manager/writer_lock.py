"""One writer: a second replica waits until the first has gone.

The lock is held by the operating system for the life of the process, so that a killed writer leaves none
behind. PostgreSQL holds it for the life of a connection instead: a process that loses this connection may
not be the writer any more, while all that it keeps in memory says so. It ends at once, and starts anew; what
it would still write is refused (writer_fence.py).
"""

import asyncio
import fcntl
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from fountain_common.db import Database
from fountain_common.logging import get_logger
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from secrets_manager.writer_fence import Fence, LockLostError

_POLL_SECONDS: Final = 0.5
_ADVISORY: Final = 0x666F756E74
_FILE: Final = "writer.lock"
_WATCH_SECONDS: Final = 1.0
_ANSWER_SECONDS: Final = 5.0
#: So long a successor waits, for a writer that lost the lock to notice.
_NOTICE_SECONDS: Final = 2 * _WATCH_SECONDS
_HELD: Final = text(
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted "
    "AND (classid::bigint << 32 | objid::bigint) = :name AND objsubid = 1"
)


def end_process() -> None:
    """End at once, without the writes that an orderly stop would make."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(os.EX_UNAVAILABLE)


class WriterLock:
    """A lock on the database: a file beside an embedded one, an advisory lock in PostgreSQL.

    Args:
        db: the database.
        folder: where the lock's file is.
    """

    def __init__(self, db: Database, folder: Path) -> None:
        self._db, self._path = db, folder / _FILE
        self._descriptor: int | None = None
        self._connection: Connection | None = None
        self._fence: Fence | None = None
        self._asking = threading.Lock()

    async def acquire(self) -> None:
        """Return once this process is the writer; until then it serves nobody and is therefore not ready."""
        waiting = False
        while not await asyncio.to_thread(self._try):
            if not waiting:
                waiting = True
                get_logger().info("waiting_for_the_other_writer")
            await asyncio.sleep(_POLL_SECONDS)
        if self._connection is not None:
            self._fence = Fence(self._db.engine)
            await self._fence.put_up(self._connection)
            if waiting:
                await asyncio.sleep(_NOTICE_SECONDS)

    async def check(self) -> None:
        """Raise if the lock was lost, which only a lost connection to PostgreSQL can do; a health check."""
        if self._connection is not None:
            await asyncio.to_thread(self._require_held, self._connection)

    async def watch(self) -> None:
        """End the process when the lock is lost, or PostgreSQL does not say for seconds that it is held."""
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    await self.check()
            except (LockLostError, SQLAlchemyError, TimeoutError) as error:
                get_logger().critical("writer_lock_lost", reason=type(error).__name__)
                end_process()
                return

    def release(self) -> None:
        """Let the next one be the writer."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if self._fence is not None:
            self._fence.take_down()
            self._fence = None
        if self._connection is not None:
            with suppress(SQLAlchemyError):
                self._connection.close()
            self._connection = None

    def _require_held(self, connection: Connection) -> None:
        # A lost connection is opened anew behind the scenes, and has no lock then: so not just "SELECT 1".
        with self._asking:
            if not connection.scalar(_HELD, {"name": _ADVISORY}):
                raise LockLostError

    def _try(self) -> bool:
        return self._try_file() if self._db.is_sqlite else self._try_advisory()

    def _try_file(self) -> bool:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def _try_advisory(self) -> bool:
        if self._connection is None:
            self._connection = self._db.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        return bool(self._connection.scalar(text("SELECT pg_try_advisory_lock(:name)"), {"name": _ADVISORY}))
