"""Exit statuses of the `fountain` command (after sysexits.h), and the errors that end it."""

from typing import Final

import typer

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
REFUSED: Final = 65
NOT_FOUND: Final = 66
UNAVAILABLE: Final = 69
CONFLICT: Final = 75
DENIED: Final = 77
INTERRUPTED: Final = 130

MEANINGS: Final = {
    OK: "It was done, and the answer is yes.",
    FAILED: "It was not done; or it was, and the answer is no: a check failed, something is not healthy.",
    USAGE: "The command was misspelt; nothing was sent.",
    REFUSED: "What was given is refused: a name, a value, a file.",
    NOT_FOUND: "There is no such thing.",
    UNAVAILABLE: "The platform, or a part of it, does not answer.",
    CONFLICT: "Not now: the state of the thing forbids it, or it did not end in time. Later it may succeed.",
    DENIED: "No key, a wrong one, or one that may not do this.",
    INTERRUPTED: "Interrupted by Ctrl-C.",
}


class CommandError(Exception):
    """Ends the command with a sentence for the person and a status for the program."""

    def __init__(self, message: str, status: int = FAILED) -> None:
        super().__init__(message)
        self.status = status


def of_http(status: int) -> int:
    """Return the exit status for an HTTP status."""
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
    """Return what to raise to end with this status."""
    return typer.Exit(status)


def of_errand(status: int) -> int:
    """Return the exit status for that of a command beside the database, which another program ran."""
    return status if status in (OK, CONFLICT) else FAILED
