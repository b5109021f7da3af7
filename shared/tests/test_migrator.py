"""A migration in a child: its parent is spared Alembic, and nothing else is different."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from migration_scripts import table, write

SHARED = Path(__file__).parents[1]
START = """
import os, sys
from pathlib import Path
from fountain_common import migrator
from fountain_common.logging import configure
from fountain_common.settings import ServiceSettings
configure(ServiceSettings(service_name="orders", data_dir=".", runtime="local"))
{before}
migrator.stand_by()
from fountain_common.db import Database
from sqlalchemy import event
database = Database("sqlite:///test.db")
{connect}
try:
    database.migrate("migrations")
except Exception as error:
    print(type(error).__module__, type(error).__name__, error)
else:
    print("migrated")
print("alembic" in sys.modules)
try:
    os.waitpid(-1, 0)
except ChildProcessError:
    print("no child")
"""
SECURE = """
event.listen(database.engine, "connect", lambda c, _: c.execute("PRAGMA secure_delete=FAST"))
"""


def begin(folder: Path, *, before: str = "", connect: str = "") -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", START.format(before=before, connect=connect)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(SHARED)},
        stdout=subprocess.PIPE,
        text=True,
    )


def said(folder: Path, *, before: str = "", connect: str = "") -> list[str]:
    """What a process says that migrates: how it went, whether it has loaded Alembic, and its children."""
    output, _ = begin(folder, before=before, connect=connect).communicate(timeout=30)
    return [line for line in output.splitlines() if not line.startswith("{")]


def tables(folder: Path) -> set[str]:
    with closing(sqlite3.connect(folder / "test.db")) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}


def test_a_process_with_a_child_migrates_and_never_loads_alembic(tmp_path: Path) -> None:
    write(tmp_path / "migrations", table("a"))
    assert said(tmp_path) == ["migrated", "False", "no child"]
    assert "a" in tables(tmp_path)
    assert said(tmp_path) == ["migrated", "False", "no child"], "with nothing to do"


def test_a_process_that_has_threads_already_migrates_by_itself(tmp_path: Path) -> None:
    write(tmp_path / "migrations", table("a"))
    busy = "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()"
    assert said(tmp_path, before=busy) == ["migrated", "True", "no child"]
    assert "a" in tables(tmp_path)


def test_where_no_process_can_be_made_it_migrates_by_itself(tmp_path: Path) -> None:
    write(tmp_path / "migrations", table("a"))
    full = "def fork(): raise BlockingIOError(11, 'Resource temporarily unavailable')\nos.fork = fork"
    assert said(tmp_path, before=full) == ["migrated", "True", "no child"]
    assert "a" in tables(tmp_path)


def test_what_a_migration_raises_is_raised_as_it_is_and_the_old_schema_stays(tmp_path: Path) -> None:
    write(tmp_path / "migrations", table("a"))
    said(tmp_path)
    write(tmp_path / "migrations", table("a"), table("b") + '\nop.execute("SELECT * FROM nowhere")')
    how, *_ = said(tmp_path)
    assert how.startswith("sqlalchemy.exc OperationalError (sqlite3.OperationalError) no such table: nowhere")
    assert not {"b"} & tables(tmp_path)


def test_what_cannot_leave_the_child_is_told_in_words(tmp_path: Path) -> None:
    own = 'class OwnError(Exception): pass\nraise OwnError("the rows do not fit")'
    write(tmp_path / "migrations", own)
    assert said(tmp_path) == ["builtins RuntimeError OwnError: the rows do not fit", "False", "no child"]


def test_a_child_that_is_killed_is_told_of_and_the_old_schema_stays(tmp_path: Path) -> None:
    write(tmp_path / "migrations", table("a") + "\nimport os; os.kill(os.getpid(), 9)")
    how, *rest = said(tmp_path)
    assert how.startswith("builtins RuntimeError The process that migrates has ended (signal 9).")
    assert rest[-1] == "no child"
    assert "a" not in tables(tmp_path)


def test_signals_for_everybody_do_not_end_a_migration_half_way(tmp_path: Path) -> None:
    signals = "import os, signal\nfor each in (signal.SIGINT, signal.SIGTERM): os.kill(os.getpid(), each)"
    write(tmp_path / "migrations", table("a") + f"\n{signals}")
    assert said(tmp_path) == ["migrated", "False", "no child"]


def test_what_the_parent_overwrites_a_migration_overwrites_too(tmp_path: Path) -> None:
    note = 'mode = op.get_bind().exec_driver_sql("PRAGMA secure_delete").scalar()'
    write(tmp_path / "migrations", f'{note}\nopen("mode", "w").write(str(mode))')
    assert said(tmp_path, connect=SECURE)[0] == "migrated"
    assert (tmp_path / "mode").read_text() == "2"


class Fifo:
    """What a migration waits for, and by which is seen whether it still does."""

    def __init__(self, path: Path) -> None:
        self._path, self._ends = path, list[int]()
        os.mkfifo(path)

    def is_read(self) -> bool:
        try:
            # It stays open, as who reads would go on otherwise.
            self._ends.append(os.open(self._path, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            return False
        return True

    def close(self) -> None:
        for end in self._ends:
            os.close(end)


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[Fifo]:
    with closing(Fifo(tmp_path / "wait")) as fifo:
        yield fifo


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_committed_in_the_name_of_a_parent_that_has_gone(
    tmp_path: Path, fifo: Fifo, end: signal.Signals
) -> None:
    write(tmp_path / "migrations", table("a") + '\nopen("wait").read()')
    parent = begin(tmp_path)
    until(fifo.is_read)
    parent.send_signal(end)
    parent.communicate(timeout=30)
    until(lambda: not fifo.is_read())
    with closing(sqlite3.connect(tmp_path / "test.db", timeout=0)) as connection:
        connection.execute("BEGIN IMMEDIATE")
    assert "a" not in tables(tmp_path)
