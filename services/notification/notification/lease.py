"""One writer: positions come from one process at a time."""

import asyncio
import fcntl
import os
import sys
from collections.abc import Callable
from pathlib import Path

from fountain_common.db import Database
from fountain_common.logging import get_logger
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

RETRY_SECONDS = 0.5
LOOK_SECONDS = 1.0
ANSWER_SECONDS = 3.0
"""A database that says nothing for so long may have let somebody else have the lock."""
EXIT_LOST = 75
"""EX_TEMPFAIL of sysexits.h: whoever starts this process again does right."""
_POSTGRES_LOCK = 0x6E6F7469
_MINE = text(
    "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted"
    " AND pid = pg_backend_pid() AND objid = :key)"
)


def end_process() -> None:
    """End at once, with nothing more written: what was not acknowledged is for the next writer to be told
    again.
    """
    get_logger().critical("writer_lock_lost", exit_code=EXIT_LOST)
    sys.stdout.flush()
    os._exit(EXIT_LOST)


class WriterLease:
    """The right to write, held as long as the process lives; a second replica waits for it.

    The operating system, or PostgreSQL, takes it back when the process ends, however it ends. PostgreSQL does
    so also when the connection breaks that took it: then another process may write, and this one must not.

    Args:
        database: what is written; SQLite is locked by a file beside it.
        folder: where that file is.
        lost: is called when it is not ours any more.
    """

    def __init__(self, database: Database, folder: Path, lost: Callable[[], None] = end_process) -> None:
        self._database, self._folder, self._lost = database, folder, lost
        self._watcher: asyncio.Task[None] | None = None
        self._file: int | None = None
        self._connection: Connection | None = None

    async def acquire(self) -> None:
        """Return once it is ours."""
        waited = False
        while not await asyncio.to_thread(self._try):
            if not waited:
                get_logger().warning("another_instance_writes", waiting=True)
            waited = True
            await asyncio.sleep(RETRY_SECONDS)
        if self._connection is not None:
            self._watcher = asyncio.create_task(self._watch(self._connection), name="writer lock")

    async def _watch(self, connection: Connection) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if not await self._is_ours(connection):
                self._lost()
                return

    async def _is_ours(self, connection: Connection) -> bool:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await asyncio.to_thread(_holds, connection)
        except (SQLAlchemyError, TimeoutError) as error:
            get_logger().error("writer_lock_not_confirmed", error=type(error).__name__)
            return False

    def _try(self) -> bool:
        return self._try_file() if self._database.is_sqlite else self._try_postgres()

    def _try_file(self) -> bool:
        self._folder.mkdir(parents=True, exist_ok=True)
        file = os.open(self._folder / "writer.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._file = file
        return True

    def _try_postgres(self) -> bool:
        connection = self._database.engine.connect()
        try:
            taken = connection.execute(
                text("SELECT pg_try_advisory_lock(:key)"), {"key": _POSTGRES_LOCK}
            ).scalar_one()
            connection.commit()
        except BaseException:
            connection.close()
            raise
        if not taken:
            connection.close()
            return False
        self._connection = connection
        return True

    async def release(self) -> None:
        """Give it back."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
            self._watcher = None
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None


def _holds(connection: Connection) -> bool:
    held = connection.execute(_MINE, {"key": _POSTGRES_LOCK}).scalar_one()
    connection.commit()
    return bool(held)
