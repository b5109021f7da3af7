"""The schema."""

from pathlib import Path

from fountain_common.db import Database
from fountain_common.migrations import differences
from notification.board import MIGRATIONS
from notification.models import metadata


def test_the_migrations_make_what_the_tables_say(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    database.migrate(MIGRATIONS)
    assert differences(database.engine, metadata) == []
    database.migrate(MIGRATIONS)
