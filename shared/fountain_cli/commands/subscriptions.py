"""`fountain subscriptions`: who gets which events delivered."""

import sys
from typing import Annotated, Any

import typer

from fountain_cli.arguments import Limit, Subscription
from fountain_cli.connection import connect
from fountain_cli.exits import USAGE, CommandError
from fountain_cli.screen import AsJson, as_json, moment, say, table
from fountain_cli.teaching import Group, command

app = typer.Typer(cls=Group, help="Subscriptions: who gets which events delivered.", no_args_is_help=True)
_NOTIFICATION = "notification"


@command(app, "list", examples=["fountain subscriptions list"])
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
    table(("name", "types", "to", "state", "owner"), rows, flexible=("types", "to", "state"))


def _state(one: dict[str, Any]) -> str:
    if not one["enabled"]:
        return f"disabled: {one['disabled_reason'] or 'by its owner'}"
    return f"failing since {moment(one['failing_since'])}" if one["failing_since"] else "enabled"


@command(
    app,
    examples=[
        "fountain subscriptions put audit-copy --type 'secret.*' --url https://hooks.example/fountain",
        "fountain subscriptions put mails --type link.created --service mailer",
    ],
)
def put(
    name: Subscription,
    type_: Annotated[
        list[str], typer.Option("--type", help="A pattern of types, as secret.*; may be repeated.")
    ],
    url: Annotated[str | None, typer.Option(help="Where events are posted, signed.")] = None,
    service: Annotated[str | None, typer.Option(help="The service that gets them.")] = None,
    json: AsJson = False,
) -> None:
    """Make or change a subscription. A new one's signing secret is printed, and nothing else.

    Events are delivered at least once and in order, and tried again for days while the receiver is away.
    """
    if (url is None) == (service is None):
        raise CommandError("Name either --url or --service.", USAGE)
    body = {"types": type_, **({"callback_url": url} if url else {"service": service})}
    with connect() as api:
        found = api.call(_NOTIFICATION, "PUT", f"/subscriptions/{name}", json=body)
    if json:
        as_json(found)
    elif found.get("signing_secret"):
        say("Keep the signing secret now; it is not shown again.")
        sys.stdout.write(found["signing_secret"] + "\n")
    else:
        say(f"The subscription {name} is as asked.")


@command(app, examples=["fountain subscriptions remove audit-copy"])
def remove(name: Subscription) -> None:
    """Remove a subscription and what waits for it."""
    with connect() as api:
        api.call(_NOTIFICATION, "DELETE", f"/subscriptions/{name}")
    say(f"The subscription {name} is removed.")


@command(app, examples=["fountain subscriptions deliveries audit-copy --status dead"])
def deliveries(
    name: Subscription,
    status: Annotated[
        str | None, typer.Option(help="pending, delivered, dead (given up) or dropped.")
    ] = None,
    limit: Limit = 50,
    json: AsJson = False,
) -> None:
    """Show what was delivered and what was not, the newest first.

    With --json every attempt is in it, with the receiver's answer.
    """
    with connect() as api:
        found = list(api.pages(_NOTIFICATION, f"/subscriptions/{name}/deliveries", limit, status=status))
    if json:
        as_json(found)
        return
    rows = [
        (
            one["position"],
            one["type"],
            one["subject"],
            one["status"],
            len(one["attempts"]),
            _outcome(one["attempts"]),
            moment(one["finished_at"] or one["next_attempt_at"]),
        )
        for one in found
    ]
    columns = ("position", "type", "subject", "status", "tries", "answer", "at")
    table(columns, rows, flexible=("subject", "answer"))


def _outcome(attempts: list[dict[str, Any]]) -> str:
    if not attempts:
        return ""
    return str(attempts[-1]["error"] or attempts[-1]["status_code"])
