"""`fountain audit`: who did what, and whether the record is whole."""

from collections.abc import Callable
from typing import Annotated, Any, Final

import typer

from fountain_cli.api import ISSUER
from fountain_cli.arguments import Limit
from fountain_cli.connection import beside, connect
from fountain_cli.exits import FAILED, leave, of_errand
from fountain_cli.screen import AsJson, as_json, err, fields, moment, say, table
from fountain_cli.teaching import Group, command

_PART: Final = 100_000

app = typer.Typer(
    cls=Group, help="The audit: who did what, and whether the record is whole.", no_args_is_help=True
)


@command(
    app,
    "list",
    examples=[
        "fountain audit list --target secrets/example-consumer",
        "fountain audit list --outcome denied",
    ],
)
def list_(
    json: AsJson = False,
    caller: Annotated[str | None, typer.Option(help="Only by this identity.")] = None,
    action: Annotated[str | None, typer.Option(help="Only this action, as secrets:read.")] = None,
    target: Annotated[str | None, typer.Option(help="Only on this, as secrets/notification.")] = None,
    outcome: Annotated[str | None, typer.Option(help="allowed or denied.")] = None,
    limit: Limit = 50,
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
    table(("no.", "when", "who", "what", "on", "outcome", "from"), rows, flexible=("on", "from"))


def in_parts(
    verify_behind: Callable[[int | None], dict[str, Any]], told: Callable[[int], None]
) -> dict[str, Any]:
    """Verify part after part, so that no answer is long in coming, and return what was found in all of them.

    Args:
        verify_behind: verifies the part behind a position; None is the beginning.
        told: hears how many records were gone over.
    """
    found = verify_behind(None)
    # One that does not speak of parts has gone over all of it.
    while found.get("next") is not None:
        told(found["records"])
        part = verify_behind(found["next"])
        found = {
            **part,
            "first": found["first"],
            "records": found["records"] + part["records"],
            "heads_checked": found["heads_checked"] + part["heads_checked"],
            "findings": found["findings"] + part["findings"],
            "more": found["more"] or part["more"],
            "intact": found["intact"] and part["intact"],
        }
    return found


@command(app, examples=["fountain audit verify"])
def verify(json: AsJson = False) -> None:
    """Go over the whole chain of the audit.

    The anchors in the event log are compared too, if that answers; where it does not, that is said.
    The exit status is 1 if a record was changed, removed, put in or cut off; what was found is named.
    """
    with connect() as api, err.status("Going over every record") as status:
        found = in_parts(
            lambda after: api.get(ISSUER, "/audit/verify", after=after, limit=_PART),
            lambda records: status.update(f"Going over every record: {records} so far"),
        )
    if found.get("event_log") == "unreachable":
        say("The event log does not answer; the anchors in it were not compared.")
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


@command(app, "accept-head", examples=["fountain audit accept-head"])
def accept_head() -> None:
    """Let the audit go on behind a head that was altered, while the Secrets Manager is stopped.

    Nothing is mended: verification keeps naming what is missing. Understand first how it came to be.
    """
    raise leave(of_errand(beside().errand("accept-head").run()))


@command(app, "accept-rows", examples=["fountain audit accept-rows"])
def accept_rows() -> None:
    """Take identities, keys and grants as they are, after older ones were put back.

    That is on record. Look first which of them are not what they should be, and revoke those.
    """
    raise leave(of_errand(beside().errand("accept-rows").run()))
