"""Values of secrets that a person gives: asked for, or read from standard input; never arguments."""

import json
import sys
from collections.abc import Sequence
from typing import TextIO

import typer

from fountain_cli import screen
from fountain_cli.exits import USAGE, CommandError

ASK = typer.Option("--ask", metavar="KEY", help="Ask for this key's value; may be repeated.")
STDIN = typer.Option("--stdin", help='Read values from standard input, as JSON: {"KEY": "value"}.')


def given(ask: Sequence[str], *, stdin: bool, source: TextIO | None = None) -> dict[str, str]:
    """Return the values that were asked for, or read.

    Where standard input is no terminal, the values for `--ask` are its lines, in the same order.

    Raises:
        CommandError: both ways are asked for, or what was read is not what was asked for.
    """
    source = source or sys.stdin
    if ask and stdin:
        raise CommandError("Use --ask or --stdin, not both.", USAGE)
    if stdin:
        return _object(source.read())
    if source.isatty():
        return {name: screen.ask(f"Value of {name}") for name in ask}
    lines = {name: source.readline().rstrip("\r\n") for name in ask}
    if empty := [name for name, value in lines.items() if not value]:
        raise CommandError(f"Standard input has no line with a value for {', '.join(empty)}.", USAGE)
    return lines


def _object(text: str) -> dict[str, str]:
    # What is wrong is said without a word of the text: it holds values.
    try:
        found = json.loads(text)
    except ValueError:
        raise CommandError("What stands on standard input is not JSON.", USAGE) from None
    if not isinstance(found, dict) or not found or not all(isinstance(one, str) for one in found.values()):
        raise CommandError('Standard input must hold a JSON object of strings: {"KEY": "value"}.', USAGE)
    return found
