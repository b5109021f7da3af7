"""`fountain token`, `login`, `logout`: who this person is."""

import sys
from typing import Annotated

import typer

from fountain_cli import keys
from fountain_cli.api import ISSUER
from fountain_cli.connection import connect, here, issuer, remote_domain
from fountain_cli.exits import NOT_FOUND, USAGE, CommandError
from fountain_cli.screen import say


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(token)
    app.command()(login)
    app.command()(logout)


def token(
    service: Annotated[
        str | None, typer.Argument(help="The service that it is for; else the platform's own.")
    ] = None,
) -> None:
    """Print an access token, and nothing else."""
    with connect() as api:
        sys.stdout.write(api.token(service) + "\n")


def _issuer() -> str:
    domain = remote_domain()
    return issuer(domain) if domain else here().url(ISSUER)


def login() -> None:
    """Keep an API key for this platform; it is asked for, or read from standard input."""
    place = _issuer()
    key = (
        typer.prompt(f"API key for {place}", hide_input=True, err=True)
        if sys.stdin.isatty()
        else sys.stdin.read()
    )
    if not key.strip().startswith("fnt_"):
        raise CommandError("That is no API key: one begins with fnt_.", USAGE)
    keys.store(place, key.strip())
    with connect() as api:
        api.token()
    say(f"The key for {place} works and is kept.")


def logout() -> None:
    """Forget the API key for this platform."""
    place = _issuer()
    if not keys.forget(place):
        raise CommandError(f"No key is kept for {place}.", NOT_FOUND)
    say(f"The key for {place} is forgotten here. It stays valid until it is revoked.")
