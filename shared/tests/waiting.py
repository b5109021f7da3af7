"""Waiting for what a task beside the test brings about."""

import asyncio
from collections.abc import Callable


async def until(true: Callable[[], object], seconds: float = 5.0) -> None:
    """Return once it is true; raise TimeoutError where that takes longer."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.002)
