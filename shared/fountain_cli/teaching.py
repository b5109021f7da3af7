"""Help that teaches: every command ends with how it is typed, all of them with what exit statuses mean."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import typer
from rich.markup import escape

from fountain_cli.exits import MEANINGS

Command = TypeVar("Command", bound=Callable[..., Any])


def command(
    app: typer.Typer, name: str | None = None, *, examples: list[str]
) -> Callable[[Command], Command]:
    """Answer a decorator that makes a function a command of `app`.

    Args:
        app: the group that it belongs to.
        name: where it is not the function's.
        examples: how it is typed, one or more whole lines.
    """

    def made(function: Command) -> Command:
        heading = "Example:" if len(examples) == 1 else "Examples:"
        epilog = escape("\n".join((heading, *(f"  {line}" for line in examples))))
        return app.command(name, help=_prose(function), epilog=epilog)(function)

    return made


def statuses() -> str:
    """Answer what each exit status means, for the end of the help of the whole."""
    return "\n".join(("Exit statuses:", *(f"  {status:>3}  {what}" for status, what in MEANINGS.items())))


def _prose(function: Callable[..., Any]) -> str:
    """Answer a docstring with a line for each paragraph: where lines end is the terminal's business."""
    paragraphs = (inspect.getdoc(function) or "").split("\n\n")
    return escape("\n\n".join(paragraph.replace("\n", " ") for paragraph in paragraphs))
