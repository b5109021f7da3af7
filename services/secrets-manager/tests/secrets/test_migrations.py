"""The migrations make the tables that the code expects."""

from pathlib import Path

import pytest
from fountain_common.db import Database
from fountain_common.migrations import differences
from secrets_manager.models import Base
from secrets_world import MIGRATIONS

pytestmark = pytest.mark.anyio


async def test_the_migrations_and_the_models_agree(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/sm.db")
    try:
        database.migrate(MIGRATIONS)
        assert differences(database.engine, Base.metadata) == []
        database.migrate(MIGRATIONS)
    finally:
        await database.close()
