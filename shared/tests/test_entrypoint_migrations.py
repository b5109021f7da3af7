"""A service that is started brings its schema up to date, and has nothing left of that when it serves."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from entrypoint_process import MAIN, Start, processes
from migration_scripts import table, write

LIFESPAN = """
import os, sys
from contextlib import asynccontextmanager
from fountain_common.db import Database
from fountain_common.logging import get_logger


@asynccontextmanager
async def lifespan(app):
    db = Database(f"sqlite:///{settings.data_dir}/orders.db")
    db.migrate("migrations")
    try:
        os.waitpid(-1, os.WNOHANG)
        children = True
    except ChildProcessError:
        children = False
    get_logger().info("migrated", alembic="alembic" in sys.modules, children=children)
    yield
    await db.close()
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    begun = MAIN.replace("settings = load", f"{LIFESPAN}\n\nsettings = load", 1)
    (tmp_path / "with_database.py").write_text(
        begun.replace("settings, title", "settings, lifespan=lifespan, title")
    )
    with processes(tmp_path) as start:
        yield lambda: start(more=", secrets=False", application="with_database:app")


def test_a_service_serves_without_alembic_and_without_a_child(start: Start, tmp_path: Path) -> None:
    write(tmp_path / "migrations", table("a"))
    service = start()
    service.until_healthy()
    [line] = [line for line in service.lines if line["event"] == "migrated"]
    assert (line["alembic"], line["children"]) == (False, False)
    service.process.terminate()
    assert service.ended() == 0


def test_a_migration_that_fails_ends_the_start_and_the_log_says_where(start: Start, tmp_path: Path) -> None:
    write(tmp_path / "migrations", 'raise ValueError("no")')
    service = start()
    assert service.ended() == 3, service.output
    [line] = [line for line in service.lines if line["event"] == "migration_failed"]
    assert line["exception"][0]["type"] == "builtins.ValueError"
    assert "0001.py" in line["exception"][0]["frames"][-1]
