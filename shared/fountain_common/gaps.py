"""Telling those whose state events keep current that some were missed."""

import asyncio
from collections.abc import Awaitable, Callable

from prometheus_client import CollectorRegistry, Counter

from fountain_common.cancelling import end_if_cancelled
from fountain_common.logging import get_logger

HANDLER_SECONDS = 30.0
PAUSE_SECONDS = 1.0

GapHandler = Callable[[], Awaitable[None]]


class Gaps:
    """Runs the gap handlers, behind the back of whoever found that something was missed.

    They run side by side, and once more if something was missed meanwhile. One that raises, or takes over
    half a minute, is logged and counted; it stops neither the others nor the stream.

    Args:
        failed: counts handlers that did not succeed.
        registry: takes `fountain_event_gaps`.
    """

    def __init__(self, failed: Counter, registry: CollectorRegistry | None = None) -> None:
        self._failed = failed
        self._told = Counter("fountain_event_gaps", "Times that events were missed.", registry=registry)
        self._handlers: list[GapHandler] = []
        self._untold = False
        self._task: asyncio.Task[None] | None = None

    def add(self, handler: GapHandler) -> GapHandler:
        """Have `async handler()` run when events were missed."""
        self._handlers.append(handler)
        return handler

    def tell(self) -> None:
        """Have all handlers run soon: something was missed."""
        self._untold = True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="event gaps")

    async def stop(self) -> None:
        """End what runs."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        while self._untold:
            self._untold = False
            self._told.inc()
            for outcome in await asyncio.gather(*map(self._one, self._handlers), return_exceptions=True):
                if outcome is not None:
                    # Such as by a handler that cancels the task in which it runs.
                    self._has_failed(outcome)
            if self._untold:
                # While events are dropped one after the other, so often and no oftener.
                await asyncio.sleep(PAUSE_SECONDS)

    async def _one(self, handler: GapHandler) -> None:
        try:
            async with asyncio.timeout(HANDLER_SECONDS):
                await handler()
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - the others still have to refetch
            # The others still have to refetch.
            end_if_cancelled()
            self._has_failed(error)

    def _has_failed(self, error: BaseException) -> None:
        self._failed.inc()
        get_logger().error("gap_handler_failed", exc_info=error)
