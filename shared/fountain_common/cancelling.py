"""Telling apart who was cancelled.

Code that awaits another task which was cancelled lets out the same exception as code that was cancelled
itself. And a handler that was cancelled may make another error of it, or say nothing. What the running task
knows of itself is what counts.
"""

import asyncio


def end_if_cancelled() -> None:
    """Raise CancelledError if the running task was cancelled, whatever what it called has made of that.

    To be called once somebody else's code has returned or failed, in a loop that goes on after its errors.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling() > 0:
        raise asyncio.CancelledError
