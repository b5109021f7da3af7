"""Help that teaches: every command ends with how it is typed, all of them with what exit statuses mean."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import typer
from rich.markup import escape
from typer.core import TyperCommand, TyperGroup

from fountain_cli.exits import MEANINGS

Function = TypeVar("Function", bound=Callable[..., Any])


class _Bare:
    """Leaves the type of a flag away: that it is there or not is all there is to say."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters as the help shows them."""
        found: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for parameter in found:
            if getattr(parameter, "is_flag", False) and parameter.metavar is None:
                parameter.metavar = ""
        return found


class Command(_Bare, TyperCommand):
    """A command."""


class Group(_Bare, TyperGroup):
    """A group of commands."""


def command(
    app: typer.Typer, name: str | None = None, *, examples: list[str]
) -> Callable[[Function], Function]:
    """Return a decorator that makes a function a command of `app`.

    Args:
        app: the group that it belongs to.
        name: where it is not the function's.
        examples: how it is typed, one or more whole lines.
    """

    def made(function: Function) -> Function:
        heading = "Example:" if len(examples) == 1 else "Examples:"
        epilog = escape("\n".join((heading, *(f"  {line}" for line in examples))))
        return app.command(name, cls=Command, help=_prose(function), epilog=epilog)(function)

    return made


def statuses() -> str:
    """Return what each exit status means, for the end of the help of the whole."""
    return "\n".join(("Exit statuses:", *(f"  {status:>3}  {what}" for status, what in MEANINGS.items())))


def _prose(function: Callable[..., Any]) -> str:
    """Return a docstring with a line for each paragraph: where lines end is the terminal's business."""
    paragraphs = (inspect.getdoc(function) or "").split("\n\n")
    return escape("\n\n".join(paragraph.replace("\n", " ") for paragraph in paragraphs))
