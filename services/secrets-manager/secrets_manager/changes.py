"""Commits a change to one secret, and then tells those in this process who depend on it."""

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from fountain_common.db import Database
from sqlalchemy.orm import Session

from secrets_manager import transitions
from secrets_manager.views import Views

T = TypeVar("T")


class Changes:
    """The way of every write to secrets, rotations and holders."""

    def __init__(self, database: Database, views: Views) -> None:
        self._database, self._views = database, views
        self._waiting: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)
        self._due: dict[str, float] = {}
        self._wake = asyncio.Event()

    async def read(self, fn: Callable[[Session], T], *, long: bool = False) -> T:
        """Return what `fn` reads; `long` if it would hold up the event loop."""
        return await self._database.read(fn, long=long)

    async def write(self, fn: Callable[[Session], T], *, quick: bool = False) -> T:
        """Run `fn` in one transaction; the caller says afterwards what has `changed`."""
        return await self._database.write(fn, quick=quick)

    async def prune(self, fn: Callable[[Session, float], None], now: float) -> None:
        """Remove what is too old to matter."""
        await self._database.write(lambda session: fn(session, now))

    async def commit(
        self, service_name: str, fn: Callable[[Session], T], then: Callable[[T], object] | None = None
    ) -> T:
        """Run `fn` in one transaction and return what it returns, once that is durable and known here.

        A caller that goes away does not keep `then`, and the others, from hearing of what was committed.
        """
        return await asyncio.shield(asyncio.ensure_future(self._commit(service_name, fn, then)))

    async def until(
        self, service_name: str, fn: Callable[[Session], T], enough: Callable[[T], bool], seconds: float
    ) -> T:
        """Read with `fn`, again after each change to the secret, until it is enough or `seconds` have
        passed.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while True:
            # Asked for before it is read, so that no change falls in between.
            heard = loop.create_future()
            self._waiting[service_name].add(heard)
            try:
                value = await self._database.read(fn)
                left = end - loop.time()
                if enough(value) or left <= 0:
                    return value
                with suppress(TimeoutError):
                    async with asyncio.timeout(left):
                        await heard
            finally:
                self._waiting[service_name].discard(heard)
                if not self._waiting[service_name]:
                    del self._waiting[service_name]

    def changed(self, service_name: str, due: float | None = None) -> None:
        """Forget what is remembered about a secret; `due` is when its rotations have something to do next."""
        self._views.forget(service_name)
        if due is None:
            self._due.pop(service_name, None)
        else:
            self._due[service_name] = due
            self._wake.set()
        for heard in tuple(self._waiting.get(service_name, ())):
            if not heard.done():
                heard.set_result(None)

    def due(self, now: float) -> list[str]:
        """Return the secrets whose rotations have something to do."""
        return [name for name, moment in self._due.items() if moment <= now]

    def next_due(self) -> float:
        """Return the moment at which the first of them has."""
        return min(self._due.values(), default=math.inf)

    def postpone(self, service_name: str, until: float) -> None:
        """Look at a secret again later."""
        self._due[service_name] = until

    def wake(self) -> None:
        """Have the driver look at what is due."""
        self._wake.set()

    async def woken(self, seconds: float) -> None:
        """Return when something new may be due, or after `seconds`."""
        # Not wait_for: on Python 3.11 it loses a cancellation that meets a wake-up.
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        self._wake.clear()

    async def _commit(
        self, service_name: str, fn: Callable[[Session], T], then: Callable[[T], object] | None
    ) -> T:
        def run(session: Session) -> tuple[T, float | None]:
            result = fn(session)
            session.flush()
            return result, transitions.next_moment(session, service_name)

        result, due = await self._database.write(run)
        if then is not None:
            then(result)
        self.changed(service_name, due)
        return result
