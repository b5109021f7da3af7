"""`fountain token`, `login`, `logout`: who this person is."""

import sys
from typing import Annotated

import typer

from fountain_cli import keys
from fountain_cli.api import ISSUER, Api
from fountain_cli.arguments import segment
from fountain_cli.connection import connect, place
from fountain_cli.exits import NOT_FOUND, USAGE, CommandError
from fountain_cli.screen import AsJson, as_json, ask, say
from fountain_cli.teaching import command


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, examples=["fountain token", "fountain token example-consumer"])(token)
    remote = "FOUNTAIN_DOMAIN=fountain.example fountain login"
    command(app, examples=[remote, f"{remote} < key-file"])(login)
    command(app, examples=["fountain logout"])(logout)


def token(
    service: Annotated[
        str | None,
        typer.Argument(help="The service that it is for; else the platform's own.", callback=segment),
    ] = None,
    json: AsJson = False,
) -> None:
    """Print an access token, and nothing else.

    It is for the platform's own services, or for the one that is named, and ends after 15 minutes.
    """
    with connect() as api:
        found = api.token(service)
        if service is not None:
            require_known(api, service)
    if json:
        as_json({"access_token": found, "token_type": "Bearer", "service": service})
    else:
        sys.stdout.write(found + "\n")


def require_known(api: Api, service: str) -> None:
    """Return if somebody knows this service: the gateway, or the Secrets Manager; or if that cannot be told.

    Raises:
        CommandError: nobody does. A token for it would be good nowhere.
    """
    unknown = None
    # One that does not run is not in the gateway's map, and has its identity all the same.
    for who, path in (("gateway-lookup", f"/lookup/{service}"), (ISSUER, f"/identities/{service}")):
        try:
            found = api.get(who, path)
        except CommandError as error:
            if error.status != NOT_FOUND:
                return  # it is away, or says this to others only
            unknown = unknown or error
        else:
            if found.get("kind") != "person":
                return
    raise CommandError(f"Nobody knows a service {service!r}. {unknown or 'That is a person.'}", NOT_FOUND)


def login() -> None:
    """Keep an API key for a platform.

    The key is asked for, or read from standard input. It is tried first, and then kept for that issuer
    alone: no other is ever sent it. FOUNTAIN_DOMAIN names the platform; without it, it is the one on this
    machine.
    """
    where = place()
    key = (ask(f"API key for {where.issuer}") if sys.stdin.isatty() else sys.stdin.read()).strip()
    if not key.startswith("fnt_") or not key.isascii() or not key.isprintable():
        raise CommandError("That is no API key: one begins with fnt_.", USAGE)
    with Api(key, where.open_client) as api:
        api.token()
    keys.store(where.issuer, key)
    say(f"The key for {where.issuer} works and is kept.")


def logout() -> None:
    """Forget the API key for a platform. It stays valid until it is revoked."""
    issuer = place().issuer
    if not keys.forget(issuer):
        raise CommandError(f"No key is kept for {issuer}.", NOT_FOUND)
    say(f"The key for {issuer} is forgotten here. It stays valid until it is revoked.")
