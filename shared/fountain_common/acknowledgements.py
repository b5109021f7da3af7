"""Telling the Secrets Manager what this instance accepts and uses, until it hears it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Literal

from fountain_common.errors import Problem
from fountain_common.holding import Held
from fountain_common.logging import get_logger
from fountain_common.rotation_handlers import RotationHandler, RotationHandlers, pause_after

Phase = Literal["accepts", "uses"]
Send = Callable[[int, Phase], Awaitable[bool]]


class Acknowledger:
    """Works towards one state: all that is held is accepted, and the active version is used.

    `accepts` is said of a version as soon as it is held, whatever handlers are doing. `uses` is said once
    every handler has succeeded for the version that became active.

    Args:
        service: whose secrets, for the log.
        held: what is held; looked at anew each time.
        send: says it once; False if there is nothing to be said of that version any more. Raises to be called
            again.
    """

    def __init__(self, service: str, held: Held, send: Send) -> None:
        self._service, self._held, self._send = service, held, send
        self._work = asyncio.Event()
        self._handlers = RotationHandlers(service, held, self._look_again)
        self._task: asyncio.Task[None] | None = None
        self._state = 0
        self.accepts = self.uses = 0
        """The newest versions that were acknowledged."""

    def on_rotation(self, handler: RotationHandler) -> RotationHandler:
        """Have a handler run whenever another version became active."""
        return self._handlers.add(handler)

    def held_anew(self, *, first: bool) -> None:
        """Begin anew: what is held has changed, or the Secrets Manager may have forgotten us.

        Args:
            first: nothing was held before, so that nothing of ours was made with another version and there is
                nothing for handlers to do.
        """
        if first:
            self._handlers.nothing_to_do()
        self._state += 1
        self.accepts = self.uses = 0
        self._handlers.look()
        self._look_again()

    def _look_again(self) -> None:
        self._work.set()

    async def start(self) -> None:
        """Begin, with what is to be said already."""
        self._work = asyncio.Event()
        self._work.set()
        self._task = asyncio.create_task(self._run(), name=f"acknowledgements for {self._service}")
        self._handlers.start()

    async def stop(self) -> None:
        """End, whatever is still to be said."""
        await self._handlers.stop()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        failures = 0
        while True:
            # New work does not wait for the turn of what failed.
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_after(failures) if failures else None):
                    await self._work.wait()
            self._work.clear()
            try:
                await self._say_what_is_held()
                failures = 0
            except Exception as error:  # noqa: BLE001 - such as the network's: it is tried again
                failures += 1
                is_problem = isinstance(error, Problem)
                get_logger().warning(
                    "acknowledgement_waits",
                    of=self._service,
                    failures=failures,
                    reason=error.detail if isinstance(error, Problem) else type(error).__name__,
                    exc_info=None if is_problem else error,
                )

    async def _say_what_is_held(self) -> None:
        state, newest, active = self._state, self._held.newest, self._held.active
        if self.accepts < newest and await self._send(newest, "accepts") and state == self._state:
            self.accepts = newest
        if state != self._state or not self._handlers.succeeded:
            return
        if self.uses < active and await self._send(active, "uses") and state == self._state:
            self.uses = active
