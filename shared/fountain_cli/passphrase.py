"""The passphrase of a backup: asked for, or the first line of standard input; never an argument."""

import sys
from typing import TextIO

from fountain_cli.exits import USAGE, CommandError
from fountain_cli.screen import ask

SHORTEST = 12


def passphrase(source: TextIO | None = None, *, twice: bool = False) -> str:
    """Ask for a passphrase; `twice` where a misspelt one would only be noticed when it is needed.

    Raises:
        CommandError: it is too short, or there is none.
    """
    source = source or sys.stdin
    if source.isatty():
        given = ask("Passphrase of the backup", twice=twice)
    else:
        given = source.readline().rstrip("\r\n")
    if len(given) < SHORTEST:
        raise CommandError(
            f"A passphrase has at least {SHORTEST} characters. It is asked for, or read from standard input: "
            "fountain backup --to FILE < passphrase-file",
            USAGE,
        )
    return given
