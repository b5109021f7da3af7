"""`fountain rotations`: how far a rotation is, and who keeps it waiting."""

import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.live import Live
from rich.table import Table

from fountain_cli.api import ISSUER, Api
from fountain_cli.connection import connect
from fountain_cli.exits import CONFLICT, FAILED, OK, leave
from fountain_cli.screen import AsJson, as_json, moment, out, table, word

app = typer.Typer(help="Rotations: how far they are, and who keeps them waiting.", no_args_is_help=True)
_Rotation = Annotated[str, typer.Argument(help="The rotation's id.")]
ENDED = frozenset({"retired", "aborted", "superseded"})
_PAUSE_SECONDS = 0.25


@app.command("list")
def list_(
    json: AsJson = False,
    service: Annotated[str | None, typer.Option(help="Only this service's.")] = None,
    limit: Annotated[int, typer.Option(min=1)] = 50,
) -> None:
    """List rotations, the newest first."""
    with connect() as api:
        found = [
            one for one in api.pages(ISSUER, "/rotations", limit) if service in (None, one["service_name"])
        ]
    if json:
        as_json(found)
        return
    rows = [
        (
            one["rotation_id"],
            one["service_name"],
            one["version"],
            state(one),
            moment(one["created_at"]),
            one.get("reason"),
        )
        for one in found
    ]
    table(("rotation", "service", "version", "state", "began", "reason"), rows)


def state(rotation: dict[str, Any]) -> str:
    """Answer the state as people say it."""
    return "overdue" if rotation.get("overdue") else str(rotation["state"])


def followed(api: Api, rotation_id: str, *, timeout: float) -> Iterator[dict[str, Any]]:
    """Answer the rotation again and again until it has ended, or `timeout` seconds have passed."""
    deadline = time.monotonic() + timeout
    while True:
        rotation: dict[str, Any] = api.get(ISSUER, f"/rotations/{rotation_id}")
        yield rotation
        if rotation["state"] in ENDED or time.monotonic() > deadline:
            return
        time.sleep(_PAUSE_SECONDS)


def picture(rotation: dict[str, Any]) -> Table:
    """Answer a rotation as a table of its holders."""
    title = f"{rotation['service_name']} version {rotation['version']}: {state(rotation)}"
    shown = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for column in ("instance", "identity", "accepts", "uses", "late"):
        shown.add_column(column)
    for holder in rotation.get("holders", []):
        accepts, uses = (f"version {holder[phase]}" for phase in ("accepts", "uses"))
        late = "late" if holder.get("late") else ""
        shown.add_row(*map(word, (holder["instance_id"][:8], holder["identity"], accepts, uses, late)))
    return shown


@app.command()
def watch(
    rotation: _Rotation,
    json: AsJson = False,
    timeout: Annotated[float, typer.Option(min=0, help="Give up after so many seconds.")] = 3600,
) -> None:
    """Follow a rotation until it has ended; exit status 0 if it retired the old version."""
    last: dict[str, Any] = {}
    with connect() as api:
        if json:
            *_, last = followed(api, rotation, timeout=timeout)
            as_json(last)
        else:
            with Live(console=out, auto_refresh=False) as live:
                for last in followed(api, rotation, timeout=timeout):
                    live.update(picture(last), refresh=True)
    raise leave(OK if last["state"] == "retired" else FAILED if last["state"] in ENDED else CONFLICT)


def _act(rotation: str, action: str, json: bool) -> None:
    with connect() as api:
        found = api.call(ISSUER, "POST", f"/rotations/{rotation}/{action}")
    if json:
        as_json(found)
    else:
        out.print(picture(found))


@app.command()
def force(rotation: _Rotation, json: AsJson = False) -> None:
    """Go on without those who are late; their requests may fail."""
    _act(rotation, "force", json)


@app.command()
def abort(rotation: _Rotation, json: AsJson = False) -> None:
    """Give a rotation up; the previous version stays."""
    _act(rotation, "abort", json)
