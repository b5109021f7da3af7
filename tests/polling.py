"""Waiting for something to become so, with a deadline and without guessing how long it takes."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_PAUSE_SECONDS = 0.05


class NotSoError(AssertionError):
    """It did not become so in time."""


def poll_until(check: Callable[[], T], description: str, timeout: float = 30) -> T:
    """Ask until the answer is truthy, and give it back.

    Args:
        check: what is asked; a failing assertion, and an answer that does not come, count as "not yet".
        description: what is waited for, as it reads in the failure.
        timeout: seconds.

    Raises:
        NotSoError: names what was waited for and what was seen last.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            seen: object = check()
        except (AssertionError, OSError, ValueError, KeyError) as error:
            seen = error
        except Exception as error:
            if type(error).__module__.partition(".")[0] != "httpx2":
                raise
            seen = error
        if seen and not isinstance(seen, BaseException):
            return seen  # type: ignore[return-value]
        if time.monotonic() > deadline:
            raise NotSoError(f"not so after {timeout:.0f} s: {description}; last seen: {seen!r}")
        time.sleep(_PAUSE_SECONDS)
