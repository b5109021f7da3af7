"""`fountain audit`: who did what, and whether the record is whole."""

from typing import Annotated

import typer

from fountain_cli.api import ISSUER
from fountain_cli.connection import connect
from fountain_cli.exits import FAILED, leave
from fountain_cli.screen import AsJson, as_json, fields, moment, say, table

app = typer.Typer(help="The audit: who did what, and whether the record is whole.", no_args_is_help=True)


@app.command("list")
def list_(
    json: AsJson = False,
    caller: Annotated[str | None, typer.Option(help="Only by this identity.")] = None,
    action: Annotated[str | None, typer.Option(help="Only this action, as secrets:read.")] = None,
    target: Annotated[str | None, typer.Option(help="Only on this, as secrets/notification.")] = None,
    outcome: Annotated[str | None, typer.Option(help="allowed or denied.")] = None,
    limit: Annotated[int, typer.Option(min=1)] = 50,
) -> None:
    """List records, the newest first."""
    wanted = {"caller": caller, "action": action, "target": target, "outcome": outcome}
    with connect() as api:
        found = list(api.pages(ISSUER, "/audit", limit, **wanted))
    if json:
        as_json(found)
        return
    rows = [
        (
            one["seq"],
            moment(one["at"]),
            one["caller"],
            one["action"],
            one["target"],
            one["outcome"],
            one["client"],
        )
        for one in found
    ]
    table(("record", "when", "who", "what", "on", "outcome", "from"), rows)


@app.command()
def verify(json: AsJson = False) -> None:
    """Go over the whole chain; exit status 1 if a record was changed, removed or put in."""
    with connect() as api:
        found = api.get(ISSUER, "/audit/verify")
    if json:
        as_json(found)
    elif found["intact"]:
        say(f"The audit is whole: {found['records']} records, head {found['head'][:16]}.")
    else:
        rows = [(one["kind"], one["first"], one["last"], one["detail"]) for one in found["findings"]]
        table(("finding", "from", "to", "detail"), rows)
        fields({"records": found["records"], "head": found["head"]})
    if not found["intact"]:
        raise leave(FAILED)
