"""How far SQLite's write-ahead log grows before it is moved into the database.

Each event is entered into an index by type and subject, so that a batch about many subjects changes as many
pages, and the next one the same. Moved rarely, a page that was changed many times is moved once.
"""

from typing import Any

from fountain_common.db import Database
from sqlalchemy import event

MOST_PAGES = 4000
"""16 MB. SQLite's own 1000 are reached by four large batches; more than 4000 gain little, and are looked
through by whoever reads.
"""


def move_journal_rarely(database: Database) -> None:
    """Have it grow to so many pages; to be called before anything is written."""

    def connect(connection: Any, _record: object) -> None:
        connection.execute(f"PRAGMA wal_autocheckpoint={MOST_PAGES}")

    if database.is_sqlite:
        event.listen(database.engine, "connect", connect)
