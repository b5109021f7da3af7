"""Taking erased data off the disk too: SQLite keeps what was overwritten until it needs the room."""

import sqlite3
from typing import Any

from fountain_common.db import Database
from sqlalchemy import event

WAIT_SECONDS = 0.05
"""Publishing waits for it: if somebody is reading, another time does as well."""


def overwrite_what_is_deleted(database: Database) -> None:
    """Have SQLite write zeros over what is changed or deleted; to be called before anything is written."""

    def connect(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA secure_delete=ON")

    if database.is_sqlite:
        event.listen(database.engine, "connect", connect)


def empty_journal(database: Database) -> bool:
    """Move the write-ahead log, which holds what pages were before, into the database, and empty it; blocks.

    Answers whether it is empty; PostgreSQL looks after its own.
    """
    if not database.is_sqlite:
        return True
    connection = sqlite3.connect(str(database.url.database), timeout=WAIT_SECONDS)
    try:
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()
    return not busy
