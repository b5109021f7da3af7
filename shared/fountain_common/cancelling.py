"""Telling apart who was cancelled."""

import asyncio


def meant_for_us(error: BaseException) -> bool:
    """Tell whether this is the cancellation of the task that is running, which has to end then.

    Code that awaits another task which was cancelled lets out the same exception: that is its own failure.
    """
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and (task is None or task.cancelling() > 0)
