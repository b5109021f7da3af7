"""Alembic without its ini file: a service has a folder of migrations, whose `env.py` is two lines.

from fountain_common.migrations import run
from notification.models import Base

run(Base.metadata)
"""

import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command, context
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, Connection, Engine, MetaData, event
from sqlalchemy.schema import CreateIndex

from fountain_common.db import Database
from fountain_common.migrator import Task

__all__ = ["differences", "run"]

_LOCK = 0x666F756E
"""Names the advisory lock that lets one replica migrate PostgreSQL while the others wait."""


def _config(connection: Connection, scripts: Path) -> Config:
    config = Config()
    # Percent signs in a path are not interpolation.
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def upgrade(engine: Engine, scripts: Path, revision: str = "head") -> None:
    """Bring the schema to a revision, in one transaction: killed half-way, it is still the old schema."""
    with engine.connect() as connection, _unchecked_while_copying(connection), connection.begin():
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        command.upgrade(_config(connection, scripts), revision)
        if (
            connection.dialect.name == "sqlite"
            and connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        ):
            raise RuntimeError(
                "The migration would leave rows that refer to nothing; the schema stays as it was."
            )


def carry_out(task: Task) -> None:
    """Upgrade what a task names, in a process that has no database open."""
    database = Database(task.url, password=lambda: task.password)
    if task.secure_delete is not None:
        # It answers in numbers, and takes the third in letters alone.
        pragma = f"PRAGMA secure_delete={('OFF', 'ON', 'FAST')[task.secure_delete]}"
        event.listen(database.engine, "connect", lambda connection, _record: connection.execute(pragma))
    upgrade(database.engine, task.scripts)


@contextmanager
def _unchecked_while_copying(connection: Connection) -> Iterator[None]:
    # Dropping the old copy of a table would otherwise delete the rows that refer to it. SQLite heeds this
    # pragma outside of transactions only, hence through the driver's own connection.
    driver: Any = connection.connection.dbapi_connection
    if not isinstance(driver, sqlite3.Connection):
        yield
        return
    driver.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys=ON")


def differences(engine: Engine, metadata: MetaData) -> list[Any]:
    """Return what a migration would still have to change; a service's test wants `[]` after `upgrade`."""
    with engine.connect() as connection, warnings.catch_warnings():
        # Of an index over an expression SQLite tells its words alone: these are compared below.
        warnings.filterwarnings("ignore", message=".*expression-based index")
        found = MigrationContext.configure(connection, opts={"compare_type": False, "include_object": _ours})
        return [*compare_metadata(found, metadata), *_other_expressions(connection, metadata)]


def _other_expressions(connection: Connection, metadata: MetaData) -> list[tuple[str, str]]:
    """Return the indexes over expressions that the database has in other words, or not at all."""
    if connection.dialect.name != "sqlite":
        return []
    stored = connection.exec_driver_sql("SELECT name, sql FROM sqlite_schema WHERE type = 'index'").all()
    words = {name: _unspaced(sql or "") for name, sql in stored}
    return [
        ("index over an expression", index.name or "")
        for table in metadata.tables.values()
        for index in table.indexes
        if not all(isinstance(part, Column) for part in index.expressions)
        and words.get(index.name) != _unspaced(str(CreateIndex(index).compile(connection)))
    ]


def _unspaced(words: str) -> str:
    return "".join(words.split()).replace('"', "").lower()


def _ours(_object: object, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:
    return not (kind == "table" and name is not None and name.startswith("sqlite_"))


def run(metadata: MetaData) -> None:
    """Run the migrations; what a service's `env.py` calls."""
    connection = context.config.attributes.get("connection")
    if connection is None:
        raise RuntimeError("Migrations run through Database.migrate, which brings the connection.")
    # SQLite changes a column by copying the table; batch mode writes such migrations for both databases.
    context.configure(
        connection=connection, target_metadata=metadata, render_as_batch=connection.dialect.name == "sqlite"
    )
    with context.begin_transaction():
        context.run_migrations()
