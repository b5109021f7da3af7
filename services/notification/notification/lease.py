"""One writer: positions come from one process at a time (design, section 5, "One writer")."""

import asyncio
import fcntl
import os
from pathlib import Path

from fountain_common.db import Database
from fountain_common.logging import get_logger
from sqlalchemy import Connection, text

RETRY_SECONDS = 0.5
_POSTGRES_LOCK = 0x6E6F7469


class WriterLease:
    """The right to write, held as long as the process lives; a second replica waits for it.

    The operating system, or PostgreSQL, takes it back when the process ends, however it ends.

    Args:
        database: what is written; SQLite is locked by a file beside it.
        folder: where that file is.
    """

    def __init__(self, database: Database, folder: Path) -> None:
        self._database, self._folder = database, folder
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

    def release(self) -> None:
        """Give it back."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None
