"""`fountain new` and `fountain upgrade`: a service from the template."""

from typing import Annotated

import typer

from fountain_cli.exits import FAILED, REFUSED, CommandError, leave
from fountain_cli.scaffold import NotMade, make_service, upgrade_service
from fountain_cli.screen import out, say
from fountain_cli.stack.layout import repository


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(new)
    app.command()(upgrade)


def new(
    name: Annotated[str, typer.Argument(help="In kebab case, as its subdomain will be: stories.")],
    description: Annotated[str, typer.Option(help="What it does, in a sentence.")] = "",
) -> None:
    """Make a service from the template and wire it into the platform; nothing is left to edit."""
    try:
        written = make_service(repository(), name, description=description)
    except NotMade as reason:
        raise CommandError(str(reason), REFUSED) from None
    if not written:
        say(f"services/{name} is there already; nothing was changed.")
        return
    for path in written:
        out.print(f"  {path}", highlight=False)
    say(f"\nmake test service={name}   tests it alone\nmake up                 starts it with the platform")


def upgrade(name: Annotated[str, typer.Argument(help="A service from the template.")]) -> None:
    """Bring what has changed in the template to a service; ends with 1 where conflicts are left."""
    try:
        done = upgrade_service(repository(), name)
    except NotMade as reason:
        raise CommandError(str(reason), REFUSED) from None
    for path in done.changed:
        out.print(f"  merged    services/{name}/{path}", highlight=False)
    for path in done.conflicts:
        out.print(f"  conflict  services/{name}/{path}", highlight=False)
    if not done.changed and not done.conflicts:
        say(f"services/{name} is up to date.")
    if done.conflicts:
        raise leave(FAILED)
