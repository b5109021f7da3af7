"""How far SQLite's write-ahead log grows before it is moved into the database.

What is written together is often about as many things as there are rows, each of which has its page in an
index; what is written next changes the same pages. Moved rarely, a page that was changed many times is moved
once.
"""

from typing import Any

from sqlalchemy import event

from fountain_common.db import Database

MOST_PAGES = 4000
"""16 MB. SQLite's own 1000 are reached by a few large groups of writes; more than 4000 gain little, and are
looked through by whoever reads.
"""


def move_journal_rarely(database: Database) -> None:
    """Have it grow to so many pages; to be called before anything is written."""

    def connect(connection: Any, _record: object) -> None:
        connection.execute(f"PRAGMA wal_autocheckpoint={MOST_PAGES}")

    if database.is_sqlite:
        event.listen(database.engine, "connect", connect)
