"""`fountain secrets`: what a service's secrets are, and new values for them."""

from typing import Annotated, Any

import typer

from fountain_cli import values
from fountain_cli.api import ISSUER
from fountain_cli.arguments import Limit, Service
from fountain_cli.connection import connect
from fountain_cli.exits import USAGE, CommandError
from fountain_cli.screen import AsJson, as_json, err, fields, moment, say, table
from fountain_cli.teaching import Group, command

app = typer.Typer(cls=Group, help="Secrets of services, and new values for them.", no_args_is_help=True)
_HIDDEN = "(hidden; --show prints it)"


@command(app, "list", examples=["fountain secrets list"])
def list_(json: AsJson = False, limit: Limit = 1000) -> None:
    """List which services have secrets; no values."""
    with connect() as api:
        found = list(api.pages(ISSUER, "/secrets", limit))
    if json:
        as_json(found)
        return
    rows = [(one["service_name"], one["version"], one["state"], moment(one["updated_at"])) for one in found]
    table(("service", "version", "state", "changed"), rows)


@command(app, examples=["fountain secrets get stories", "fountain secrets get stories --show"])
def get(
    service: Service,
    json: AsJson = False,
    show: Annotated[bool, typer.Option("--show", help="Print the values.")] = False,
    version: Annotated[
        int | None, typer.Option(min=1, help="This version instead of the active one.")
    ] = None,
) -> None:
    """Show the secrets of a service. Values are printed with --show or --json alone; reading is audited."""
    with connect() as api:
        found = api.get(ISSUER, f"/secrets/{service}", version=version)
    if json:
        as_json(found)
        return
    fields({"service": found["service_name"], "version": found["version"]})
    table(("key", "value"), [(name, value if show else _HIDDEN) for name, value in found["secrets"].items()])
    table(("version", "state"), [(one["version"], one["state"]) for one in found.get("versions", [])])


@command(
    app,
    examples=[
        "fountain secrets create stories",
        "fountain secrets create stories --ask SMTP_PASSWORD",
        "fountain secrets create stories --stdin < values.json",
    ],
)
def create(
    service: Service,
    json: AsJson = False,
    ask: Annotated[list[str] | None, values.ASK] = None,
    stdin: Annotated[bool, values.STDIN] = False,
) -> None:
    """Make the first secrets of a service. JWT_SECRET and DB_PASSWORD are generated, others may be given.

    Values are asked for or read from standard input: as an argument they would be seen by others.
    """
    body = values.given(ask or (), stdin=stdin)
    with connect() as api:
        found = api.call(ISSUER, "POST", f"/secrets/{service}", json=body)
    if json:
        as_json({**found, "secrets": sorted(found["secrets"])})  # nobody asked to see their values
    else:
        say(f"{service} has {', '.join(found['secrets'])} in version {found['version']}.")


@command(
    app,
    examples=[
        "fountain secrets rotate stories",
        "fountain secrets rotate stories --key DATA_KEY",
        "fountain secrets rotate stories --ask SMTP_PASSWORD",
    ],
)
def rotate(
    service: Service,
    json: AsJson = False,
    key: Annotated[list[str] | None, typer.Option("--key", help="Only this key; may be repeated.")] = None,
    ask: Annotated[list[str] | None, values.ASK] = None,
    stdin: Annotated[bool, values.STDIN] = False,
    immediate: Annotated[bool, typer.Option(help="Do not wait for the holders; requests may fail.")] = False,
) -> None:
    """Give a service new secrets. Every instance accepts the new version before anyone uses it.

    Generated values are made anew, and those that are asked for are given; others stay.
    """
    if key and (ask or stdin):
        raise CommandError(
            "Use --key for generated values, --ask or --stdin for given ones, not both.", USAGE
        )
    body: dict[str, Any] = {"keys": key} if key else {}
    if new := values.given(ask or (), stdin=stdin):
        body["newSecrets"] = new
    if immediate:
        body["immediate"] = True
    with connect() as api, err.status("Waiting until every instance accepts the new version"):
        found = api.call(ISSUER, "POST", f"/secrets/{service}/rotate", json=body)
    found.pop("secrets", None)  # nobody asked to see them
    if json:
        as_json(found)
    else:
        say(f"{service}: version {found['version']} is {found['state']}.")
        say(f"Follow it: fountain rotations watch {service}")


@command(app, examples=["fountain secrets history stories"])
def history(service: Service, json: AsJson = False) -> None:
    """List the versions of a service's secrets; no values."""
    with connect() as api:
        found = list(api.pages(ISSUER, f"/secrets/{service}/versions", 1000))
    if json:
        as_json(found)
        return
    rows = [
        (
            one["version"],
            one["state"],
            one["created_by"],
            moment(one["created_at"]),
            moment(one["changed_at"]),
        )
        for one in found
    ]
    table(("version", "state", "made by", "made", "changed"), rows)
