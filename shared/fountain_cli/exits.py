"""Exit statuses of the `fountain` command (after sysexits.h), and the errors that end it."""

import typer

OK = 0
FAILED = 1
"""It was done and the answer is no: a check failed, something is unhealthy."""
USAGE = 2
NOT_FOUND = 66
UNAVAILABLE = 69
"""The platform, or a part of it, does not answer."""
CONFLICT = 75
"""Not now: the state of the thing forbids it; a later try may succeed."""
DENIED = 77
REFUSED = 65
"""The platform understood the request and refused what it says."""


class CommandError(Exception):
    """Ends the command with a sentence for the person and a status for the program."""

    def __init__(self, message: str, status: int = FAILED) -> None:
        super().__init__(message)
        self.status = status


def of_http(status: int) -> int:
    """Answer the exit status for an HTTP status."""
    known = {
        401: DENIED,
        403: DENIED,
        404: NOT_FOUND,
        409: CONFLICT,
        410: NOT_FOUND,
        412: CONFLICT,
        429: CONFLICT,
    }
    if status in known:
        return known[status]
    return UNAVAILABLE if status >= 500 else REFUSED


def leave(status: int) -> typer.Exit:
    """Answer what to raise to end with this status."""
    return typer.Exit(status)
