"""What the commands show: tables for people, JSON for programs.

Results go to standard output, everything said along the way to standard error: a pipe gets the result alone.
"""

import json
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fountain_cli import moments
from fountain_cli.exits import INTERRUPTED, CommandError

# A pipe has no width of its own; eighty columns would cut what is in it.
out = Console(width=None if sys.stdout.isatty() else 200)
err = Console(stderr=True)

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask first.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs, and nothing else.")]

_GOOD = ("healthy", "up", "active", "retired", "uses", "enabled", "allowed", "delivered")
_UNDER_WAY = ("staged", "draining", "degraded", "accepts", "pending")
_OVER = ("superseded", "aborted", "revoked", "disabled", "dropped")
_BAD = ("overdue", "down", "unhealthy", "unreachable", "expired", "late", "denied", "dead")
_COLOURS = {
    **dict.fromkeys(_GOOD, "green"),
    **dict.fromkeys(_UNDER_WAY, "yellow"),
    **dict.fromkeys(_OVER, "dim"),
    **dict.fromkeys(_BAD, "red"),
}


def as_json(value: object) -> None:
    """Print a value as JSON."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, flexible: Collection[str] = ()
) -> None:
    """Print a table; words with a meaning get their colour.

    Args:
        columns: the headings.
        rows: the cells.
        flexible: columns that are broken into lines where the terminal is narrow; if none is named, all are.
    """
    shown = grid(columns, flexible=flexible)
    for row in rows:
        shown.add_row(*(word(cell) for cell in row))
    if shown.row_count:
        out.print(shown)
    else:
        say("There are none.")


def grid(columns: Sequence[str], *, flexible: Collection[str] = ()) -> Table:
    """Return an empty table; nothing in it is ever cut off."""
    shown = Table(
        header_style="bold",
        box=None,
        pad_edge=False,
    )
    for column in columns:
        shown.add_column(column, overflow="fold", no_wrap=bool(flexible) and column not in flexible)
    return shown


def word(value: object) -> Text:
    """Return how a cell looks. Values are text and never markup."""
    if value is None or value == "":
        return Text("-", style="dim")
    shown = {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
    return Text(shown, style=_COLOURS.get(shown, ""))


def fields(pairs: Mapping[str, object]) -> None:
    """Print names and values, one a line."""
    width = max((len(name) for name in pairs), default=0)
    for name, value in pairs.items():
        out.print(Text.assemble((f"{name:<{width}}", "bold"), "  ", word(value)), soft_wrap=True)


def moment(value: Any) -> str:
    """Return a moment (unix seconds, or RFC 3339) in local time."""
    return moments.shown(value, datetime.now(UTC))


def size(count: int) -> str:
    """Return a number of bytes as people say it."""
    shown = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if shown < 1024:
            return f"{shown:.0f} {unit}" if unit == "bytes" else f"{shown:.1f} {unit}"
        shown /= 1024
    return f"{shown:.1f} GiB"


def ask(question: str, *, twice: bool = False) -> str:
    """Ask at the terminal for what is not to be seen; `twice` where a misspelt one would be found out late.

    Raises:
        typer.Exit: there was no answer.
    """
    try:
        return str(typer.prompt(question, hide_input=True, confirmation_prompt=twice, err=True))
    except typer.Abort:
        sys.stderr.write("\n")
        raise typer.Exit(INTERRUPTED) from None


def agreed(question: str, *, yes: bool) -> None:
    """Return if the person agrees to what cannot be taken back; `yes`: has done so already.

    Raises:
        CommandError: the person does not, or nobody is there to be asked.
    """
    if yes:
        return
    try:
        answer = typer.confirm(question, err=True)
    except typer.Abort:
        sys.stderr.write("\n")
        raise CommandError(
            "Nobody answered, and nothing was done. --yes goes without the question; with make, yes=1."
        ) from None
    if not answer:
        raise CommandError("Nothing was done.")


def say(message: str) -> None:
    """Tell the person something that is not the result."""
    err.print(Text(message), soft_wrap=True)
