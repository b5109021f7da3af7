"""Whose writes PostgreSQL takes: those of the writer alone, to the last commit.

A writer that lost its lock learns of it a moment later, and may be in the middle of a transaction. So each of
its transactions asks first whether it still is the writer, and holds a share of the fence until its end; and
who takes over waits until nobody holds a share any more, before he reads a row. Of what was asked before
that, all is committed or undone by then; what asks later is refused.
"""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from fountain_common.logging import get_logger
from sqlalchemy import Connection, Engine, event, text

_FENCE: Final = 0x666F756E75
_POLL_SECONDS: Final = 0.05
_PATIENCE_SECONDS: Final = 2.0
"""So long a transaction under way may take until it is ended: its writer has lost the lock anyway."""
_END_SHARES: Final = text(
    "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' AND granted "
    "AND pid <> pg_backend_pid() AND (classid::bigint << 32 | objid::bigint) = :name AND objsubid = 1"
)


class LockLostError(Exception):
    """This process is not the writer any more."""


class Fence:
    """Lets no transaction through but the writer's.

    Its mark is a lock of its own beside the writer's, on the same connection: whoever can take it knows that
    the connection is lost, without looking through the server's table of locks.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._mark = secrets.randbits(62)
        self._guards: Callable[[Connection], None] | None = None

    async def put_up(self, connection: Connection) -> None:
        """Wait until nobody else's transaction can be committed any more, and guard our own from now on.

        Args:
            connection: the one that holds the writer's lock.
        """
        await asyncio.to_thread(
            connection.execute, text("SELECT pg_advisory_lock(:mark)"), {"mark": self._mark}
        )
        waited = 0.0
        while not await asyncio.to_thread(self._nobody_is_inside, connection):
            await asyncio.sleep(_POLL_SECONDS)
            waited += _POLL_SECONDS
            if waited >= _PATIENCE_SECONDS:
                ended = await asyncio.to_thread(connection.scalar, _END_SHARES, {"name": _FENCE})
                get_logger().warning("writes_of_the_former_writer_ended", transactions=ended)
        self._guards = self._guard(connection)
        event.listen(self._engine, "begin", self._guards)

    def take_down(self) -> None:
        """Guard no more."""
        if self._guards is not None:
            with suppress(Exception):
                event.remove(self._engine, "begin", self._guards)
            self._guards = None

    @staticmethod
    def _nobody_is_inside(connection: Connection) -> bool:
        name = {"name": _FENCE}
        if not connection.scalar(text("SELECT pg_try_advisory_lock(:name)"), name):
            return False
        connection.execute(text("SELECT pg_advisory_unlock(:name)"), name)
        return True

    def _guard(self, own: Connection) -> Callable[[Connection], None]:
        # Two statements in one message: the second is carried out once the first has got its share.
        question = (
            f"SELECT pg_advisory_xact_lock_shared({_FENCE}); "
            f"SELECT pg_try_advisory_xact_lock_shared({self._mark})"
        )

        def guard(connection: Connection) -> None:
            if connection is own:
                return
            try:
                driver: Any = connection.connection.dbapi_connection
                with driver.cursor() as cursor:
                    cursor.execute(question)
                    cursor.nextset()
                    [could_be_taken] = cursor.fetchone()
                if could_be_taken:
                    raise LockLostError
            except BaseException:
                # Nothing of it is left open, and the next one begins on a connection of its own.
                connection.invalidate()
                raise

        return guard
