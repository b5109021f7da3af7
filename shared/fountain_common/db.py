"""One database a service: SQLite (WAL) embedded, or PostgreSQL; short transactions, group commit.

All writes of a process go through one thread (module `writer`). On SQLite a point query is faster on the
event loop's own thread than behind any pool, so reads run there; PostgreSQL answers over a network, so its
reads run in threads.
"""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import orjson
from sqlalchemy import Connection, DateTime, Dialect, Engine, MetaData, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.types import TypeDecorator

from fountain_common import migrator
from fountain_common.errors import Unavailable
from fountain_common.logging import get_logger
from fountain_common.schema_head import stands_at_newest
from fountain_common.statements import Listed
from fountain_common.writer import Writer, is_outage

T = TypeVar("T")

_READ_THREADS = 8
_BUSY_MS = 5000
_WRITER_CACHE_KIB = 16 * 1024
"""An index is written to at random places: its pages are not to be read again for each row."""
_KEPT_CACHE_KIB = 16 * 1024
"""The same for rows that are asked for one by one, of which there may be too many to be in memory."""
_ROOM_BYTES = 1 << 20
"""With less, small writes may still find a place in the log, and the next larger one does not."""
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
"""Names for constraints, so that a migration can name what it changes on SQLite too."""


def new_metadata() -> MetaData:
    """Return metadata for a service's `Base`, with named constraints."""
    return MetaData(naming_convention=NAMING)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in time: aware on the way in, UTC on the way out, on databases without time zones too."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a naive moment; it could mean any of 38."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("A moment needs a time zone.")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Database:
    """A database of one service.

    Args:
        url: `sqlite:////data/x.db` or `postgresql://user@host/name`, without a password.
        password: answers the password whenever a connection is opened, so that it can rotate. Connections
            that are open stay: to the server they have shown what was right then.
        queue_size: how many writes may wait; more are refused as `Unavailable`.
        batch_size: how many writes one commit carries at most.
    """

    def __init__(
        self,
        url: str,
        *,
        password: Callable[[], str | None] | None = None,
        queue_size: int = 4096,
        batch_size: int = 256,
        busy_ms: int = _BUSY_MS,
    ) -> None:
        self.url = _driver(make_url(url))
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._password = password
        self._busy_ms = busy_ms
        if self.is_sqlite and self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        self.engine = self._engine(read_only=False)
        self._reader = self._engine(read_only=True)
        self._kept: PoolProxiedConnection | None = None
        self._writer = Writer(self.engine, queue_size=queue_size, batch_size=batch_size)
        self._threads = ThreadPoolExecutor(_READ_THREADS, thread_name_prefix="database-read")

    async def read(self, fn: Callable[[Session], T], *, long: bool = False) -> T:
        """Return `fn(session)` from one consistent snapshot; objects that it answers stay usable.

        `long` moves it to a thread on SQLite too: for scans that would hold up the event loop.

        Raises:
            Unavailable: the database cannot be asked now.
        """
        if self.is_sqlite and not long:
            return self._read(fn)
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, fn)

    async def rows(self, statement: Listed, each: Sequence[Any], **others: Any) -> Sequence[Sequence[Any]]:
        """Return what one statement selects now, as `Listed.rows` does: a snapshot without a transaction.

        Raises:
            Unavailable: the database cannot be asked now.
        """
        asked = partial(self._rows, statement, each, **others)
        return (
            asked()
            if self.is_sqlite
            else await asyncio.get_running_loop().run_in_executor(self._threads, asked)
        )

    def _read(self, fn: Callable[[Session], T]) -> T:
        try:
            with Session(self._reader, expire_on_commit=False) as session, session.begin():
                return fn(session)
        except (SQLAlchemyError, sqlite3.Error) as error:
            _raise_outage(error)
            raise

    def _rows(self, statement: Listed, each: Sequence[Any], **others: Any) -> Sequence[Sequence[Any]]:
        try:
            if not self.is_sqlite:
                with self._reader.connect() as connection:
                    return statement.rows(connection, each, **others)
            if self._kept is None:
                # To take one from the pool and give it back takes as long as the database does.
                self._kept = self._reader.raw_connection()
                self._driver(self._kept).execute(f"PRAGMA cache_size=-{_KEPT_CACHE_KIB}")
            words, parameters = statement.worded(self._reader.dialect, each, **others)
            found: list[tuple[Any, ...]] = self._driver(self._kept).execute(words, parameters).fetchall()
            return found
        except (SQLAlchemyError, sqlite3.Error) as error:
            self._give_back()
            _raise_outage(error)
            raise

    @staticmethod
    def _driver(connection: PoolProxiedConnection) -> sqlite3.Connection:
        driver = connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)  # noqa: S101 - for the type checker
        return driver

    def _give_back(self) -> None:
        """Let go of the connection that is kept; what went wrong with it may end with it."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.invalidate()

    async def write(self, fn: Callable[[Session], T], *, quick: bool = False) -> T:
        """Run `fn(session)` and return what it answers, once that is durable.

        It runs in the writer's thread, in a savepoint of its own: what it raises is raised here and undoes
        only what it did. It must not block, and must not use objects of the event loop.

        Args:
            fn: see above.
            quick: that it takes a few milliseconds at most, and may run on the event loop's thread on SQLite:
                for a busy service's rows, which then cost half.

        Raises:
            Unavailable: nothing of it was kept: full or locked or lost database, or too many writes waiting.
        """
        return await self._writer.submit(fn, quick=quick)

    async def write_rows(self, fn: Callable[[Connection], T], *, quick: bool = False) -> T:
        """As `write`, with the connection in place of a session: for rows that go in as they are."""
        return await self._writer.submit_rows(fn, quick=quick)

    def listen(self, topic: str, callback: Callable[[], None]) -> Callable[[], None]:
        """Have the callback called, in the listener's event loop, after each commit that `notify` marked.

        Answers the way to stop.
        """
        return self._writer.listen(topic, callback)

    async def check(self) -> None:
        """Raise when the database cannot be read or does not take writes; a health check.

        It writes only after a write has failed, until one succeeds: whoever asks for health costs a read.
        """
        await self.read(lambda session: session.execute(text("SELECT 1")))
        if self._writer.closed:
            raise Unavailable("The database is closed.")
        if self._writer.in_doubt:
            await self.check_writable()

    async def check_writable(self) -> None:
        """Raise when a write does not reach the disk, or the next could not for want of room."""
        if self.is_sqlite and self.url.database and _room(self.url.database) < _ROOM_BYTES:
            raise Unavailable("The disk of the database is full; make room.")
        await self.write(self._touch)

    def _touch(self, session: Session) -> None:
        self._writer.in_doubt = False  # before the commit, which may say otherwise
        # A number in the file's header that nobody else uses, or of a transaction: either is written for it.
        session.execute(text("PRAGMA user_version = 0" if self.is_sqlite else "SELECT txid_current()"))

    def migrate(self, scripts: Path | str) -> None:
        """Bring the schema to the newest of the Alembic migrations in this folder; a start's first act.

        Where there is nothing to do, or a child to do it, this process never loads Alembic.
        """
        scripts = Path(scripts)
        with migrator.taken() as child:
            if stands_at_newest(self._reader, scripts):
                return
            if child is not None:
                child.upgrade(self._task(scripts))
                return
        from fountain_common.migrations import upgrade

        upgrade(self.engine, scripts)

    def _task(self, scripts: Path) -> migrator.Task:
        erases = None
        if self.is_sqlite:
            # A migration copies rows, and leaves no more of the old ones behind than this process would.
            with closing(self.engine.raw_connection()) as connection:
                erases = connection.cursor().execute("PRAGMA secure_delete").fetchone()[0]
        password = None if self._password is None else self._password()
        return migrator.Task(self.url.render_as_string(hide_password=False), password, scripts, erases)

    async def close(self) -> None:
        """Commit what waits, then let go; later writes are refused."""
        await asyncio.to_thread(self._writer.close)
        self._threads.shutdown(wait=True)
        self._give_back()
        self._reader.dispose()
        self.engine.dispose()

    def _engine(self, *, read_only: bool) -> Engine:
        options: dict[str, Any] = {
            "hide_parameters": True,
            "json_serializer": lambda value: orjson.dumps(value).decode(),
            "json_deserializer": orjson.loads,
        }
        if self.is_sqlite:
            # Threads take turns: the pool hands a connection to one at a time.
            options["connect_args"] = {"check_same_thread": False, "timeout": self._busy_ms / 1000}
            # One for each thread, one for the event loop's, and the one that is kept.
            options["pool_size"] = _READ_THREADS + 2 if read_only else 1
            options["max_overflow"] = 0 if read_only else 2
        else:
            options["pool_size"] = _READ_THREADS if read_only else 2
            options["pool_pre_ping"] = True
            options["connect_args"] = {"connect_timeout": 5}
        engine = create_engine(self.url, **options)
        if self.is_sqlite:
            _prepare_sqlite(engine, read_only=read_only)
        elif read_only:
            event.listen(engine, "begin", lambda c: c.exec_driver_sql("SET TRANSACTION READ ONLY"))
        if self._password is not None:
            self._authenticate(engine, self._password)
        return engine

    @staticmethod
    def _authenticate(engine: Engine, password: Callable[[], str | None]) -> None:
        def connect(_dialect: object, _record: object, _args: object, parameters: dict[str, Any]) -> None:
            current = password()
            if current is not None:
                parameters["password"] = current

        event.listen(engine, "do_connect", connect)


def _raise_outage(error: SQLAlchemyError | sqlite3.Error) -> None:
    if is_outage(error):
        get_logger().error("database_read_failed", exc_info=error)
        raise Unavailable("The database cannot be asked now; try again.") from error


def notify(session: Session, topic: str) -> None:
    """Mark the transaction: whoever listens to the topic is woken once it is committed."""
    session.info.setdefault("topics", set()).add(topic)


def _driver(url: URL) -> URL:
    if url.password:
        raise ValueError("The database's URL holds a password; give it as `password` instead.")
    if url.get_backend_name() in ("postgres", "postgresql") and url.drivername in ("postgres", "postgresql"):
        return url.set(drivername="postgresql+psycopg")
    return url


def _room(database: str) -> int:
    return shutil.disk_usage(Path(database).parent).free


def _prepare_sqlite(engine: Engine, *, read_only: bool) -> None:
    begin = "BEGIN" if read_only else "BEGIN IMMEDIATE"

    def connect(connection: Any, _record: object) -> None:
        # We say BEGIN ourselves: the driver's own rules would start the transaction too late for a snapshot.
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("PRAGMA query_only=ON" if read_only else f"PRAGMA cache_size=-{_WRITER_CACHE_KIB}")

    event.listen(engine, "connect", connect)
    # Without the layers between: they take longer over the word than the database does.
    event.listen(engine, "begin", lambda connection: connection.connection.cursor().execute(begin))
    _plain_savepoints(engine.dialect)


def _plain_savepoints(dialect: Dialect) -> None:
    # SQLAlchemy compiles SAVEPOINT anew each time, at a third of what a small write costs, and every write
    # of a group has one.
    def say(command: str) -> Any:
        return lambda connection, name: connection.connection.cursor().execute(f"{command} {name}")

    patched: Any = dialect
    patched.do_savepoint = say("SAVEPOINT")
    patched.do_release_savepoint = say("RELEASE SAVEPOINT")
    patched.do_rollback_to_savepoint = say("ROLLBACK TO SAVEPOINT")
