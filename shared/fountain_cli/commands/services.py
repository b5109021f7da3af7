"""`fountain new` and `fountain upgrade`: a service from the template."""

from collections.abc import Iterable
from typing import Annotated

import typer

from fountain_cli.exits import FAILED, REFUSED, CommandError, leave
from fountain_cli.screen import AsJson, as_json, out, say
from fountain_cli.stack.layout import repository
from fountain_cli.teaching import command


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, examples=["fountain new stories --description 'What people tell.'"])(new)
    command(app, examples=["fountain upgrade stories"])(upgrade)


def new(
    name: Annotated[str, typer.Argument(help="In kebab case, as its subdomain will be: stories.")],
    description: Annotated[str, typer.Option(help="What it does, in a sentence.")] = "",
    json: AsJson = False,
) -> None:
    """Make a service from the template and wire it into the platform; nothing is left to edit.

    Made before, it is left as it is, and what an interrupted run left undone is done.
    """
    from fountain_cli.scaffold import NotMade, make_service  # takes half a second, which no other needs

    try:
        written = make_service(repository(), name, description=description)
    except NotMade as reason:
        raise CommandError(str(reason), REFUSED) from None
    if json:
        as_json({"service": name, "written": [str(path) for path in written]})
        return
    if not written:
        say(f"services/{name} was made before, and nothing of it is missing; nothing was changed.")
        return
    for path in written:
        out.print(f"  {path}", highlight=False)
    hints = {f"make test service={name}": "tests it alone", "make up": "starts it with the platform"}
    width = max(map(len, hints))
    say("\n" + "\n".join(f"{typed:<{width}}   {what}" for typed, what in hints.items()))


def upgrade(
    name: Annotated[str, typer.Argument(help="A service from the template.")], json: AsJson = False
) -> None:
    """Bring what has changed in the template to a service. The exit status is 1 where conflicts are left."""
    from fountain_cli.scaffold import NotMade, upgrade_service

    try:
        done = upgrade_service(repository(), name)
    except NotMade as reason:
        raise CommandError(str(reason), REFUSED) from None
    if json:
        paths = {"merged": done.changed, "conflicts": done.conflicts}
        as_json({"service": name, **{kind: [str(path) for path in found] for kind, found in paths.items()}})
    else:
        _show(name, done.changed, done.conflicts)
    if done.conflicts:
        raise leave(FAILED)


def _show(name: str, merged: Iterable[object], conflicts: Iterable[object]) -> None:
    lines = [f"  merged    services/{name}/{path}" for path in merged]
    lines += [f"  conflict  services/{name}/{path}" for path in conflicts]
    for line in lines:
        out.print(line, highlight=False)
    if not lines:
        say(f"services/{name} is up to date.")
