"""What a service does when another version of its secrets becomes active."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from fountain_common.cancelling import end_if_cancelled
from fountain_common.errors import Problem
from fountain_common.holding import Held
from fountain_common.logging import get_logger

FIRST_RETRY_SECONDS = 0.2
LONGEST_RETRY_SECONDS = 5.0

RotationHandler = Callable[[int], Awaitable[None]]
Place = tuple[str, int]


def place_of(held: Held) -> Place:
    """Return which version is active, in which epoch: after a restore the same number is another version."""
    return held.epoch, held.active


class RotationHandlers:
    """Runs the handlers for the version that is active, until each has succeeded.

    One that raises is tried again, those that succeeded are not. They run in a task of their own: one that
    hangs holds up nothing but the word that its version is used. When yet another version becomes active,
    what still runs for the one before it is cancelled.

    Args:
        service: whose secrets, for the log.
        held: what is held.
        done: is called once all have succeeded.
    """

    def __init__(self, service: str, held: Held, done: Callable[[], None]) -> None:
        self._service, self._held, self._done = service, held, done
        self._handlers: list[RotationHandler] = []
        self._handled: Place = ("", 0)
        self._handling: Place | None = None
        self._task: asyncio.Task[None] | None = None
        self._started = False

    def add(self, handler: RotationHandler) -> RotationHandler:
        """Have a handler run whenever another version became active."""
        self._handlers.append(handler)
        return handler

    @property
    def succeeded(self) -> bool:
        """Tell whether nothing is left to do for the active version."""
        return self._handled == place_of(self._held)

    def nothing_to_do(self) -> None:
        """Take the active version as handled: nothing of ours was made with another one."""
        self._handled = place_of(self._held)

    def start(self) -> None:
        """Begin, with what is to be done already."""
        self._started = True
        self.look()

    async def stop(self) -> None:
        """End; a handler that is running is cancelled."""
        self._started, self._handling = False, None
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def look(self) -> None:
        """Look anew at what is active, and do what is to be done for it."""
        place = place_of(self._held)
        if self._task is not None and self._task.done():
            # However it ended, nothing is being handled.
            self._handling = None
        if not self._started or self._handling == place or (self._handling is None and self.succeeded):
            return
        before, self._handling = self._task, place
        if before is not None:
            before.cancel()
        self._task = asyncio.create_task(
            self._handle(place, before), name=f"rotation handlers for {self._service}"
        )

    async def _handle(self, place: Place, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.gather(before, return_exceptions=True)
        succeeded: set[RotationHandler] = set()
        failures = 0
        while await self._round(place[1], succeeded, failures):
            failures += 1
            await asyncio.sleep(pause_after(failures))
        # A handler that swallows its cancellation may take it back as well (`Task.uncancel`).
        if self._handling == place:
            self._handled, self._handling = place, None
            self._done()

    async def _round(self, version: int, succeeded: set[RotationHandler], failures: int) -> bool:
        """Run those that have not succeeded yet; tell whether one failed again."""
        failed = False
        for handler in self._handlers:
            if handler in succeeded:
                continue
            try:
                await handler(version)
                succeeded.add(handler)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - the others have their turn
                # One handler's trouble is not the next one's.
                end_if_cancelled()
                failed = True
                is_problem = isinstance(error, Problem)
                get_logger().warning(
                    "rotation_handler_failed",
                    of=self._service,
                    version=version,
                    failures=failures + 1,
                    reason=error.detail if isinstance(error, Problem) else type(error).__name__,
                    exc_info=None if is_problem else error,
                )
            else:
                end_if_cancelled()
        return failed


def pause_after(failures: int) -> float:
    """Return the seconds to wait after so many failures on end."""
    step = min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2.0 ** min(failures - 1, 10))
    return step * (0.5 + 0.5 * random.random())  # noqa: S311 - spreads load
