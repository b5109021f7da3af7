"""`fountain recover-admin`, `rekey`: what is done beside the database and the key volume."""

import typer

from fountain_cli.exits import leave
from fountain_cli.stack import choice


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("recover-admin")(recover_admin)
    app.command()(rekey)


def recover_admin() -> None:
    """Make a new administrator's key into its volume, where the last one is lost."""
    raise leave(choice.running_or_next().administer("recover-admin"))


def rekey() -> None:
    """Replace the key-encryption key. The Secrets Manager must be stopped."""
    raise leave(choice.running_or_next().administer("rekey"))
