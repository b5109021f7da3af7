"""Work that goes on beside requests, for as long as the service runs."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from fountain_common.logging import get_logger


async def repeated(work: Callable[[], Awaitable[object]], seconds: float) -> None:
    """Do it every so many seconds, for ever; a turn that fails is logged, and the next one comes."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - the next turn may succeed, and must come
            get_logger().error("background_work_failed", work=getattr(work, "__name__", ""), exc_info=error)


async def cancelled(tasks: Sequence[asyncio.Task[None]]) -> None:
    """End tasks, and return once they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
