"""`fountain rotations`: how far a rotation is, and who keeps it waiting."""

import re
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.live import Live
from rich.text import Text

from fountain_cli import moments, teaching
from fountain_cli.api import ISSUER, Api
from fountain_cli.arguments import Limit, Rotation
from fountain_cli.connection import connect
from fountain_cli.exits import CONFLICT, FAILED, NOT_FOUND, OK, UNAVAILABLE, CommandError, leave
from fountain_cli.screen import AsJson, Yes, agreed, as_json, err, grid, moment, out, say, table, word
from fountain_cli.teaching import command

app = typer.Typer(
    cls=teaching.Group, help="Rotations: how far they are, and who keeps them waiting.", no_args_is_help=True
)
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ENDED = frozenset({"retired", "aborted", "superseded"})
_PAUSE_SECONDS = 0.25
_SHOWN = 5


@command(app, "list", examples=["fountain rotations list --service example-consumer"])
def list_(
    json: AsJson = False,
    service: Annotated[str | None, typer.Option(help="Only this service's.")] = None,
    limit: Limit = 50,
) -> None:
    """List rotations, the newest first."""
    with connect() as api:
        found = list(api.pages(ISSUER, "/rotations", limit, service_name=service))
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
        )
        for one in found
    ]
    table(("rotation", "service", "v", "state", "began"), rows, flexible=("service",))


def state(rotation: dict[str, Any]) -> str:
    """Return the state as people say it."""
    return "overdue" if rotation.get("overdue") else str(rotation["state"])


def identified(api: Api, rotation: str) -> str:
    """Return the id of a rotation that is named by itself, or by its service.

    Raises:
        CommandError: the service has had none.
    """
    if _ID.fullmatch(rotation):
        return rotation
    newest = next(api.pages(ISSUER, "/rotations", 1, service_name=rotation), None)
    if newest is None:
        raise CommandError(f"{rotation} is not the id of a rotation, nor a service that had one.", NOT_FOUND)
    return str(newest["rotation_id"])


def followed(api: Api, rotation_id: str, *, timeout: float) -> Iterator[dict[str, Any]]:
    """Return the rotation again and again until it has ended, or `timeout` seconds have passed.

    Once it was seen, the Secrets Manager may be away for a while: the rotation goes on when it is back.
    """
    deadline = time.monotonic() + timeout
    seen = away = False
    while True:
        try:
            rotation: dict[str, Any] = api.get(ISSUER, f"/rotations/{rotation_id}")
        except CommandError as error:
            if not seen or error.status != UNAVAILABLE:
                raise
            if not away:
                say("The Secrets Manager does not answer; trying again.")
            away = True
        else:
            seen, away = True, False
            yield rotation
            if rotation["state"] in ENDED:
                return
        if time.monotonic() > deadline:
            return
        time.sleep(_PAUSE_SECONDS)


def summary(rotation: dict[str, Any], now: datetime) -> str:
    """Return in a line how far a rotation is, and what it waits for."""
    new, old = rotation["version"], rotation["previous_version"]
    line = f"{rotation['service_name']} version {new}: {state(rotation)}"
    late = [_named(one) for one in rotation["holders"] if one["late"]]
    if rotation["state"] == "retired":
        return f"{line}; version {old} is refused from now on"
    if rotation["state"] in ENDED:
        return line
    if late:
        done = "used" if rotation["activated_at"] else "accepted"
        more = f" and {len(late) - _SHOWN} more" if len(late) > _SHOWN else ""
        return f"{line}; waits until version {new} is {done} by {', '.join(late[:_SHOWN])}{more}"
    if since := moments.of(rotation["draining_since"]):
        left = rotation["overlap_seconds"] - (now - since).total_seconds()
        return f"{line}; version {old} retires in {moments.span(left)}"
    return line


def _named(holder: dict[str, Any]) -> str:
    return f"{holder['instance_id'][:8]} ({holder['identity']})"


def picture(rotation: dict[str, Any]) -> Group:
    """Return a rotation as a line, and a table of its holders."""
    shown = grid(("instance", "identity", "accepts", "uses", "late"))
    for holder in rotation.get("holders", []):
        accepts, uses = (f"version {holder[phase]}" for phase in ("accepts", "uses"))
        late = "late" if holder.get("late") else ""
        shown.add_row(*map(word, (holder["instance_id"][:8], holder["identity"], accepts, uses, late)))
    return Group(Text(summary(rotation, datetime.now(UTC)), style="bold"), shown)


def changes(seen: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Return of a rotation that is seen again and again those times when something was different."""
    before: object = None
    for rotation in seen:
        now = (state(rotation), rotation["draining_since"], [
            (one["instance_id"], one["accepts"], one["uses"], one["late"]) for one in rotation["holders"]
        ])  # fmt: skip
        if now != before:
            yield rotation
        before = now


@command(app, examples=["fountain rotations watch example-consumer"])
def watch(
    rotation: Rotation,
    json: AsJson = False,
    timeout: Annotated[float, typer.Option(min=0, help="Give up after so many seconds.")] = 3600,
) -> None:
    """Follow a rotation until it has ended: who accepts the new version, and who uses it.

    It says when the old version retires. Where the output is no terminal, each change is a line.

    The exit status is 0 if the old version was retired, 1 if the rotation was given up, 75 if it had not
    ended in time.
    """
    last: dict[str, Any] = {}
    with connect() as api:
        rotation = identified(api, rotation)
        if json:
            with err.status("Waiting until the rotation has ended"):
                *_, last = followed(api, rotation, timeout=timeout)
            as_json(last)
        elif not out.is_terminal:
            for last in changes(followed(api, rotation, timeout=timeout)):
                out.print(
                    f"{moment(time.time())} {summary(last, datetime.now(UTC))}",
                    highlight=False,
                    soft_wrap=True,
                )
        else:
            with Live(console=out, auto_refresh=False) as live:
                for last in followed(api, rotation, timeout=timeout):
                    live.update(picture(last), refresh=True)
    raise leave(OK if last["state"] == "retired" else FAILED if last["state"] in ENDED else CONFLICT)


def _act(api: Api, rotation_id: str, action: str, json: bool) -> None:
    found = api.call(ISSUER, "POST", f"/rotations/{rotation_id}/{action}")
    if json:
        as_json(found)
    else:
        out.print(picture(found))


def forced(rotation: dict[str, Any]) -> str:
    """Return what happens where this rotation is forced now."""
    service, new, old = rotation["service_name"], rotation["version"], rotation["previous_version"]
    late = [_named(one) for one in rotation["holders"] if one["late"]]
    them = f"Late: {', '.join(late)}. " if late else "Nobody is late. "
    if rotation["activated_at"] is None:  # staged, and perhaps overdue
        refuse = f", and who is late refuses what is made with it until it has version {new}" if late else ""
        return f"{them}Version {new} of {service} is used from now on{refuse}."
    skipped = f"What is left of its overlap of {moments.span(rotation['overlap_seconds'])} is skipped. "
    still = ", also by those who still use it" if late else ""
    gone = f"Version {old} of {service} is retired at once{still}: what was made with it is refused."
    return f"{them}{'' if late else skipped}{gone}"


@command(
    app,
    examples=["fountain rotations force example-consumer", "fountain rotations force example-consumer --yes"],
)
def force(rotation: Rotation, json: AsJson = False, yes: Yes = False) -> None:
    """Take a rotation's next step now, without those who are late and without the overlap.

    A staged version becomes the active one. Of one that is active already, the previous version is retired at
    once, even where nobody is late: what was made with it is refused. It asks first, and says what happens.
    """
    with connect() as api:
        rotation_id = identified(api, rotation)
        before = api.get(ISSUER, f"/rotations/{rotation_id}")
        if before["state"] not in ENDED and not yes:
            agreed(f"{forced(before)} Go on?", yes=False)
            now = api.get(ISSUER, f"/rotations/{rotation_id}")
            if now["state"] in ENDED or now["activated_at"] != before["activated_at"]:
                went = f"from {before['state']} to {now['state']}"
                raise CommandError(f"Meanwhile it went {went} by itself; nothing was forced.", CONFLICT)
        _act(api, rotation_id, "force", json)


@command(app, examples=["fountain rotations abort example-consumer"])
def abort(rotation: Rotation, json: AsJson = False) -> None:
    """Give a rotation up while it is staged; the previous version stays."""
    with connect() as api:
        _act(api, identified(api, rotation), "abort", json)
