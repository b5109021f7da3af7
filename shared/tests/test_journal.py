"""The write-ahead log is moved into the database rarely, and is no less durable for that."""

from pathlib import Path

from fountain_common.db import Database
from fountain_common.journal import MOST_PAGES, move_journal_rarely


def test_whoever_writes_moves_it_after_so_many_pages_and_syncs_each_commit(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'log.db'}")
    move_journal_rarely(database)
    with database.engine.connect() as connection:
        found = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("wal_autocheckpoint", "journal_mode", "synchronous")
        ]
    assert found == [MOST_PAGES, "wal", 2]
    database.engine.dispose()
