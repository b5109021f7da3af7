"""Arguments that many commands take. What becomes part of a path is a name, and leads nowhere else."""

import re
from typing import Annotated

import typer

_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


def segment(value: str | None) -> str | None:
    """Return a name or an id that can stand in a path.

    Raises:
        typer.BadParameter: it cannot.
    """
    if value is not None and not _SEGMENT.fullmatch(value):
        raise typer.BadParameter(f"{value!r} is no name: letters, digits, hyphens, dots and underscores.")
    return value


Service = Annotated[str, typer.Argument(help="The service's name.", callback=segment)]
Identity = Annotated[str, typer.Argument(metavar="NAME", help="The identity's name.", callback=segment)]
KeyId = Annotated[
    str, typer.Argument(metavar="KEY-ID", help="The key's id, as show names it.", callback=segment)
]
Subscription = Annotated[
    str, typer.Argument(metavar="NAME", help="The subscription's name.", callback=segment)
]
Rotation = Annotated[
    str,
    typer.Argument(
        metavar="ROTATION", help="A rotation's id, or a service: its newest rotation.", callback=segment
    ),
]
Limit = Annotated[int, typer.Option(min=1, help="At most so many.")]
