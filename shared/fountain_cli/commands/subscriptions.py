"""`fountain subscriptions`: who gets which events delivered."""

import sys
from typing import Annotated, Any

import typer

from fountain_cli.connection import connect
from fountain_cli.exits import USAGE, CommandError
from fountain_cli.screen import AsJson, as_json, moment, say, table

app = typer.Typer(help="Subscriptions: who gets which events delivered.", no_args_is_help=True)
_NOTIFICATION = "notification"
_Name = Annotated[str, typer.Argument(help="The subscription's name.")]


@app.command("list")
def list_(json: AsJson = False) -> None:
    """List subscriptions."""
    with connect() as api:
        found = list(api.pages(_NOTIFICATION, "/subscriptions", 10_000))
    if json:
        as_json(found)
        return
    rows = [
        (
            one["name"],
            " ".join(one["types"]),
            one["callback_url"] or one["service"],
            _state(one),
            one["owner"],
        )
        for one in found
    ]
    table(("name", "types", "to", "state", "owner"), rows)


def _state(one: dict[str, Any]) -> str:
    if not one["enabled"]:
        return f"disabled: {one['disabled_reason'] or 'by its owner'}"
    return f"failing since {moment(one['failing_since'])}" if one["failing_since"] else "enabled"


@app.command()
def put(
    name: _Name,
    type_: Annotated[
        list[str], typer.Option("--type", help="A pattern of types, as secret.*; may be repeated.")
    ],
    url: Annotated[str | None, typer.Option(help="Where events are posted, signed.")] = None,
    service: Annotated[str | None, typer.Option(help="The service that gets them.")] = None,
) -> None:
    """Make or change a subscription. A new one's signing secret is printed, and nothing else."""
    if (url is None) == (service is None):
        raise CommandError("Name either --url or --service.", USAGE)
    body = {"types": type_, **({"callback_url": url} if url else {"service": service})}
    with connect() as api:
        found = api.call(_NOTIFICATION, "PUT", f"/subscriptions/{name}", json=body)
    if found.get("signing_secret"):
        say("Keep the signing secret now; it is not shown again.")
        sys.stdout.write(found["signing_secret"] + "\n")
    else:
        say(f"The subscription {name} is as asked.")


@app.command()
def remove(name: _Name) -> None:
    """Remove a subscription and what waits for it."""
    with connect() as api:
        api.call(_NOTIFICATION, "DELETE", f"/subscriptions/{name}")
    say(f"The subscription {name} is removed.")


@app.command()
def deliveries(
    name: _Name,
    status: Annotated[str | None, typer.Option(help="Only those in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1)] = 50,
) -> None:
    """Show deliveries and their attempts, as JSON."""
    with connect() as api:
        as_json(list(api.pages(_NOTIFICATION, f"/subscriptions/{name}/deliveries", limit, status=status)))
