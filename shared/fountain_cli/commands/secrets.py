"""`fountain secrets`: what a service's secrets are, and new values for them."""

from typing import Annotated, Any

import typer

from fountain_cli.api import ISSUER
from fountain_cli.connection import connect
from fountain_cli.exits import USAGE, CommandError
from fountain_cli.screen import AsJson, as_json, fields, moment, say, table

app = typer.Typer(help="Secrets of services, and new values for them.", no_args_is_help=True)
_Service = Annotated[str, typer.Argument(help="The service's name.")]
_HIDDEN = "(hidden; --show prints it)"


@app.command("list")
def list_(json: AsJson = False, limit: Annotated[int, typer.Option(min=1)] = 1000) -> None:
    """List which services have secrets; no values."""
    with connect() as api:
        found = list(api.pages(ISSUER, "/secrets", limit))
    if json:
        as_json(found)
        return
    rows = [(one["service_name"], one["version"], one["state"], moment(one["updated_at"])) for one in found]
    table(("service", "version", "state", "changed"), rows)


@app.command()
def get(
    service: _Service,
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


@app.command()
def create(service: _Service, json: AsJson = False) -> None:
    """Make the first secrets of a service; their values are generated."""
    with connect() as api:
        found = api.call(ISSUER, "POST", f"/secrets/{service}", json={})
    if json:
        as_json(found)
    else:
        say(f"{service} has {', '.join(found['secrets'])} in version {found['version']}.")


@app.command()
def rotate(
    service: _Service,
    json: AsJson = False,
    key: Annotated[list[str] | None, typer.Option("--key", help="Only this key; may be repeated.")] = None,
    ask: Annotated[list[str] | None, typer.Option("--ask", help="Ask for this key's new value.")] = None,
    immediate: Annotated[bool, typer.Option(help="Do not wait for the holders; requests may fail.")] = False,
) -> None:
    """Give a service new secrets. Holders accept the new version before anyone uses it."""
    if key and ask:
        raise CommandError("Use --key for generated values or --ask for given ones, not both.", USAGE)
    body: dict[str, Any] = {"keys": key} if key else {}
    if ask:
        body["newSecrets"] = {
            name: typer.prompt(f"New value of {name}", hide_input=True, err=True) for name in ask
        }
    if immediate:
        body["immediate"] = True
    with connect() as api:
        found = api.call(ISSUER, "POST", f"/secrets/{service}/rotate", json=body)
    found.pop("secrets", None)  # nobody asked to see them
    if json:
        as_json(found)
    else:
        say(f"{service}: version {found['version']} is {found['state']}.")
        say(f"Follow it: fountain rotations watch {found['rotation_id']}")


@app.command()
def history(service: _Service, json: AsJson = False) -> None:
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
