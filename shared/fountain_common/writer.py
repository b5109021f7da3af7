"""The one thread that writes: it takes what waits, runs each in a savepoint, and commits once for all.

A commit costs a sync of the disk. While one runs, the next writes gather, so that the more callers wait,
the cheaper each becomes. Nobody is answered before the commit that holds his work has returned.

Two threads that both have work pass the interpreter's lock to and fro at every statement, which costs more
than the statements of a small write do. So writes that say they are quick run on the event loop's own thread,
in the transaction that the writer's thread has begun, and that it commits while the loop goes on: what waits
for locks and disks is never the loop.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from fountain_common.errors import Unavailable
from fountain_common.logging import get_logger

T = TypeVar("T")

_SQLITE_OUTAGES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PROTOCOL,
    }
)
_LOOK_SECONDS = 1.0
_NOT_KEPT = "The database cannot take this now. Nothing was kept; try again."


def is_outage(error: BaseException) -> bool:
    """Tell whether the database itself failed (full, locked, lost), as opposed to what was asked of it."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.OperationalError):
        # The same class covers "no such table"; what SQLite itself says tells which it is.
        code = getattr(cause, "sqlite_errorcode", None)
        return code is None or code & 0xFF in _SQLITE_OUTAGES
    return isinstance(error, OperationalError | InterfaceError | PoolTimeout)


@dataclass(eq=False, slots=True)
class _Write:
    fn: Callable[[Any], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    rows: bool = False
    quick: bool = False
    result: Any = None
    error: BaseException | None = None
    outage: bool = False
    topics: set[str] = field(default_factory=set)

    def settle(self) -> None:
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Writer:
    """Commits writes in groups, in the order in which they were submitted."""

    def __init__(self, engine: Engine, *, queue_size: int, batch_size: int) -> None:
        self._engine = engine
        self._batch_size = batch_size
        self._queue_size = queue_size
        # The simple one is made in C: a hand-over costs a tenth of what the other's locks do.
        self._waiting: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._connection: Connection | None = None
        # A file does not go away between two commits, as a server may; the pool's part costs what a row does.
        self._keeps = engine.dialect.name == "sqlite"
        self._gate = threading.Lock()
        self._listeners: dict[str, list[tuple[asyncio.AbstractEventLoop, Callable[[], None]]]] = {}
        self.closed = False
        # The database itself has failed at a write, and nobody has looked since whether it takes one again.
        self.in_doubt = False

    async def submit(self, fn: Callable[[Session], T], *, quick: bool = False) -> T:
        """Return what `fn` answers, once it is durable."""
        return await self._submit(fn, quick=quick)

    async def submit_rows(self, fn: Callable[[Connection], T], *, quick: bool = False) -> T:
        """As `submit`, with the connection itself in place of a session."""
        return await self._submit(fn, rows=True, quick=quick)

    async def _submit(self, fn: Callable[[Any], T], *, rows: bool = False, quick: bool = False) -> T:
        loop = asyncio.get_running_loop()
        # A server's answers are waited for, which the loop must not do.
        write = _Write(fn, loop, loop.create_future(), rows, quick and self._keeps)
        with self._gate:
            if self.closed:
                raise Unavailable("This service is stopping. Nothing was kept; try again.")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="database-write", daemon=True)
                self._thread.start()
            if self._waiting.qsize() >= self._queue_size:
                raise Unavailable("Too many writes wait for the database; try again.")
            self._waiting.put(write)
        result: T = await write.future
        return result

    def listen(self, topic: str, callback: Callable[[], None]) -> Callable[[], None]:
        """Have the callback called in this event loop after a commit with that topic."""
        entry = (asyncio.get_running_loop(), callback)
        entries = self._listeners.setdefault(topic, [])
        entries.append(entry)

        def stop() -> None:
            with suppress(ValueError):
                entries.remove(entry)

        return stop

    def close(self) -> None:
        """Commit what waits and end the thread; blocks until that is done."""
        with self._gate:
            self.closed = True
            thread = self._thread
        if thread is not None and thread.is_alive():
            self._waiting.put(None)
            thread.join()

    def _run(self) -> None:
        while True:
            batch, last = self._take()
            if batch:
                try:
                    self._commit(batch)
                except BaseException as error:  # noqa: BLE001 - the thread outlives whatever happens to one batch
                    _fail(batch, error)
                self._settle(batch)
            if last:
                self._disconnect()
                return

    def _take(self) -> tuple[list[_Write], bool]:
        first = self._waiting.get()
        if first is None:
            return [], True
        batch = [first]
        while len(batch) < self._batch_size:
            try:
                item = self._waiting.get_nowait()
            except queue.Empty:
                break
            if item is None:
                return batch, True
            batch.append(item)
        return batch, False

    def _commit(self, batch: list[_Write]) -> None:
        connection = self._connect()
        transaction = connection.begin()
        try:
            # A caller that has gone away before its turn wants nothing written any more.
            wanted = [write for write in batch if not write.future.cancelled()]
            _run_all(connection, wanted)
            if len(wanted) != 1 or wanted[0].error is None:
                transaction.commit()
            elif transaction.is_active:  # a session has ended it by itself
                transaction.rollback()
        except BaseException:
            with suppress(Exception):
                transaction.rollback()
            # A connection in doubt is not used again.
            with suppress(Exception):
                connection.invalidate()
            self._disconnect()
            raise
        if not self._keeps:
            self._disconnect()

    def _connect(self) -> Connection:
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()

    def _settle(self, batch: list[_Write]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[_Write]] = {}
        topics: set[str] = set()
        for write in batch:
            by_loop.setdefault(write.loop, []).append(write)
            if write.error is None:
                topics |= write.topics
            self.in_doubt |= write.outage
        for loop, writes in by_loop.items():
            with suppress(RuntimeError):  # its loop has ended; nobody waits there any more
                loop.call_soon_threadsafe(_settle_all, writes)
        for topic in topics:
            for loop, callback in list(self._listeners.get(topic, ())):
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(callback)


def _run_all(connection: Connection, writes: Sequence[_Write]) -> None:
    loops = {write.loop if write.quick else None for write in writes}
    loop = loops.pop() if len(loops) == 1 else None
    if loop is None:
        _run_each(connection, writes)
    else:
        _OnLoop(loop, partial(_run_each, connection, writes)).run()


def _run_each(connection: Connection, writes: Sequence[_Write]) -> None:
    for write in writes:
        # One that is alone needs no savepoint: what undoes it undoes nobody else's.
        _run_one(connection, write, alone=len(writes) == 1)


class _OnLoop:
    """Runs something on an event loop's thread while this one waits; here, if that loop stops without it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fn: Callable[[], None]) -> None:
        self._loop, self._fn = loop, fn
        self._claim, self._done = threading.Lock(), threading.Event()
        self._error: BaseException | None = None

    def run(self) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._run_once)
        while not self._done.wait(_LOOK_SECONDS):
            if not self._loop.is_running():
                self._run_once()
        if self._error is not None:
            raise self._error

    def _run_once(self) -> None:
        if not self._claim.acquire(blocking=False):
            return
        try:
            self._fn()
        except BaseException as error:  # noqa: BLE001 - it ends this group, and neither the loop nor the thread
            self._error = error
        finally:
            self._done.set()


def _run_one(connection: Connection, write: _Write, *, alone: bool) -> None:
    try:
        if write.rows:
            with nullcontext() if alone else connection.begin_nested():
                write.result = write.fn(connection)
        else:
            _run_in_session(connection, write, "rollback_only" if alone else "create_savepoint")
    except Exception as error:  # noqa: BLE001 - it belongs to the one who submitted it
        # On a full disk SQLite rolls everything back by itself: then the batch fails as one.
        if not alone:
            _require_transaction(connection)
        if is_outage(error):
            get_logger().error("database_write_failed", exc_info=error)
            error, write.outage = _unavailable(error), True
        write.error = error


def _run_in_session(
    connection: Connection, write: _Write, mode: Literal["rollback_only", "create_savepoint"]
) -> None:
    session = Session(connection, expire_on_commit=False, join_transaction_mode=mode)
    with session, session.begin():
        write.result = write.fn(session)
    write.topics = session.info.get("topics", write.topics)


def _require_transaction(connection: Connection) -> None:
    driver: Any = connection.connection.dbapi_connection
    if isinstance(driver, sqlite3.Connection) and not driver.in_transaction:
        raise sqlite3.OperationalError("the database ended the transaction")


def _unavailable(error: BaseException) -> Unavailable:
    problem = Unavailable(_NOT_KEPT)
    problem.__cause__ = error
    return problem


def _fail(batch: list[_Write], error: BaseException) -> None:
    get_logger().error("database_commit_failed", writes=len(batch), exc_info=error)
    for write in batch:
        write.error, write.outage = _unavailable(error), True


def _settle_all(writes: list[_Write]) -> None:
    for write in writes:
        write.settle()
