"""One writer: a second replica waits until the first has gone (design, section 5).

The lock is held by the operating system for the life of the process, so that a killed writer leaves none
behind.
"""

import asyncio
import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from fountain_common.db import Database
from fountain_common.logging import get_logger
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

_POLL_SECONDS: Final = 0.5
_ADVISORY: Final = 0x666F756E74
_FILE: Final = "writer.lock"


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

    async def acquire(self) -> None:
        """Return once this process is the writer; until then it serves nobody and is therefore not ready."""
        waiting = False
        while not await asyncio.to_thread(self._try):
            if not waiting:
                waiting = True
                get_logger().info("waiting_for_the_other_writer")
            await asyncio.sleep(_POLL_SECONDS)

    async def check(self) -> None:
        """Raise if the lock was lost, which only a lost connection to PostgreSQL can do; a health check."""
        if self._connection is not None:
            await asyncio.to_thread(self._connection.execute, text("SELECT 1"))

    def release(self) -> None:
        """Let the next one be the writer."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if self._connection is not None:
            with suppress(SQLAlchemyError):
                self._connection.close()
            self._connection = None

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
