"""`fountain events`: what happens, as it happens."""

import json as jsonlib
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any

import httpx2
import typer
from rich.text import Text

from fountain_cli import moments
from fountain_cli.api import Api, refused
from fountain_cli.arguments import Subscription
from fountain_cli.connection import connect
from fountain_cli.exits import UNAVAILABLE, USAGE, CommandError
from fountain_cli.screen import AsJson, as_json, moment, out, say
from fountain_cli.teaching import Group, command

app = typer.Typer(
    cls=Group,
    help="Events: read them as they happen, publish your own, replay past ones.",
    no_args_is_help=True,
)
_NOTIFICATION = "notification"
_RECONNECT_SECONDS = 1.0


def arrivals(api: Api, types: str | None, last_id: str | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return (`event` or `gap`, content) of everything that one stream brings; ends when the stream does.

    Before them comes (`place`, nothing): where to resume if it breaks before the first.
    """
    headers = {"Authorization": f"Bearer {api.token(_NOTIFICATION)}", "Accept": "text/event-stream"}
    if last_id:
        headers["Last-Event-ID"] = last_id
    params = {"type": types} if types else {}
    client = api.client(_NOTIFICATION)
    timeout = httpx2.Timeout(10, read=60)
    with client.stream(
        "GET", "/notifications/stream", headers=headers, params=params, timeout=timeout
    ) as answer:
        if answer.status_code != 200:
            answer.read()
            raise refused(answer, "The stream was refused")
        yield "place", {"id": answer.headers.get("last-event-id", ""), "content": {}}
        kind, event_id, data = "event", "", ""
        for line in answer.iter_lines():
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "event" and line:
                kind = value
            elif name == "id":
                event_id = value
            elif name == "data":
                data += value
            elif not line and data:
                yield kind, {"id": event_id, "content": jsonlib.loads(data)}
                kind, event_id, data = "event", "", ""


@command(app, examples=["fountain events tail", "fountain events tail --type 'secret.*'"])
def tail(
    json: AsJson = False,
    type_: Annotated[str | None, typer.Option("--type", help="Only these: secret.* or service.>")] = None,
    after: Annotated[
        str | None, typer.Option(metavar="EPOCH-POSITION", help="Begin after this id of the stream.")
    ] = None,
) -> None:
    """Show events as they happen, until interrupted. A lost connection is taken up where it ended.

    With --json each line is an event (CloudEvents 1.0). If events are missing, that is said.
    """
    last, again = after, False
    with connect() as api, suppress(KeyboardInterrupt):
        say("Waiting for events; Ctrl-C ends it.")
        while True:
            try:
                for kind, arrival in arrivals(api, type_, last):
                    last = arrival["id"] or last
                    if kind != "place":
                        _show(kind, arrival["content"], json)
            except httpx2.HTTPError:
                say("The connection is lost; trying again.")
            except CommandError as error:
                if not again or error.status != UNAVAILABLE:
                    raise
                say("The platform does not answer; trying again.")
            again = True
            time.sleep(_RECONNECT_SECONDS)


def _show(kind: str, content: dict[str, Any], json: bool) -> None:
    if json:
        typer.echo(jsonlib.dumps(content))
    elif kind == "gap":
        say(f"Events are missing: the earliest that is kept is {content.get('earliest_position')}.")
    else:
        line = Text(f"{content.get('position', ''):>6} {moment(content.get('time'))} ")
        line.append(f"{content['type']:<24}", style="cyan")
        line.append(f" {content.get('subject') or content.get('source')}")
        if content.get("data") is not None:
            line.append(f" {jsonlib.dumps(content['data'])}")
        out.print(line, soft_wrap=True)


@command(app, examples=["fountain events publish link.created --subject links/7 --data '{\"by\": 7}'"])
def publish(
    type_: Annotated[str, typer.Argument(metavar="TYPE", help="A dotted type, such as link.created.")],
    subject: Annotated[str | None, typer.Option(help="What it is about.")] = None,
    data: Annotated[str | None, typer.Option(metavar="JSON", help="What it says.")] = None,
    json: AsJson = False,
) -> None:
    """Publish an event."""
    try:
        content = jsonlib.loads(data) if data else None
    except ValueError as error:
        raise CommandError(f"--data is not JSON: {error}", USAGE) from None
    body = {"type": type_, "subject": subject, "data": content}
    with connect() as api:
        found = api.call(
            _NOTIFICATION, "POST", "/notifications", json={k: v for k, v in body.items() if v is not None}
        )
    if json:
        as_json(found)
    else:
        say(f"Event {found['id']} is stored at position {found['position']}.")


@command(
    app,
    examples=[
        "fountain events replay audit-copy --since 2h --dry-run",
        "fountain events replay audit-copy --after 1200",
        "fountain events replay audit-copy --missing",
    ],
)
def replay(
    subscription: Subscription,
    after: Annotated[
        int | None, typer.Option(min=0, metavar="POSITION", help="Those behind this position.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="MOMENT", help="Those since then: 30m, 2h, 7d ago, or 2026-01-31T12:00."),
    ] = None,
    missing: Annotated[bool, typer.Option("--missing", help="Those that were given up.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count them.")] = False,
    json: AsJson = False,
) -> None:
    """Have past events delivered to a subscription again, in order, with the ids that they had."""
    if (after is not None) + (since is not None) + missing != 1:
        raise CommandError("Say which events: one of --after, --since and --missing.", USAGE)
    body: dict[str, Any] = {"dry_run": dry_run}
    if after is not None:
        body["after"] = after
    elif since is not None:
        body["since"] = _since(since)
    else:
        body["missing"] = True
    with connect() as api:
        found = api.call(_NOTIFICATION, "POST", f"/subscriptions/{subscription}/replay", json=body)
    if json:
        as_json(found)
        return
    events = f"{found['count']} event{'' if found['count'] == 1 else 's'}"
    say(f"{events} would be delivered again." if dry_run else f"{events} will be delivered again.")


def _since(raw: str) -> str:
    try:
        return moments.parse(raw, datetime.now(UTC)).isoformat()
    except (ValueError, OverflowError):
        raise CommandError(
            f"--since {raw!r} is no moment: write 30m, 2h or 7d ago, or 2026-01-31T12:00.", USAGE
        ) from None
