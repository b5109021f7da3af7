"""How far SQLite's write-ahead log grows before it is moved into the database.

Rows that are written together are often about as many different things, such as subjects or secrets, and each
of these has its place on another page of an index. The next group changes the same pages: moved rarely, such
a page is moved once.
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
