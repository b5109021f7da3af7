"""`fountain events`: what happens, as it happens."""

import json as jsonlib
import time
from collections.abc import Iterator
from typing import Annotated, Any

import httpx2
import typer
from rich.text import Text

from fountain_cli.api import Api
from fountain_cli.connection import connect
from fountain_cli.exits import USAGE, CommandError
from fountain_cli.screen import AsJson, as_json, moment, out, say

app = typer.Typer(help="Events: read them as they happen, publish your own.", no_args_is_help=True)
_NOTIFICATION = "notification"
_RECONNECT_SECONDS = 1.0


def arrivals(api: Api, types: str | None, last_id: str | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Answer (`event` or `gap`, content) of everything that one stream brings; ends when the stream does."""
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
            raise CommandError(f"The stream was refused ({answer.status_code}): {answer.text[:300]}")
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


@app.command()
def tail(
    json: AsJson = False,
    type_: Annotated[str | None, typer.Option("--type", help="Only these: secret.* or service.>")] = None,
    after: Annotated[str | None, typer.Option(help="Begin after this stream id.")] = None,
) -> None:
    """Show events as they happen, until interrupted. A lost connection is taken up where it ended."""
    last = after
    with connect() as api:
        while True:
            try:
                for kind, arrival in arrivals(api, type_, last):
                    last = arrival["id"] or last
                    _show(kind, arrival["content"], json)
            except httpx2.HTTPError:
                say("The connection is lost; trying again.")
            except KeyboardInterrupt:
                return
            time.sleep(_RECONNECT_SECONDS)


def _show(kind: str, content: dict[str, Any], json: bool) -> None:
    if json:
        typer.echo(jsonlib.dumps(content))
    elif kind == "gap":
        say(f"Events are missing: the earliest that is kept is {content.get('earliest_position')}.")
    else:
        line = Text(f"{content.get('position', ''):>6} {moment(content.get('time'))} ")
        line.append(f"{content['type']:<24}", style="cyan")
        line.append(
            f" {content.get('subject') or content.get('source')} {jsonlib.dumps(content.get('data'))}"
        )
        out.print(line, soft_wrap=True)


@app.command()
def publish(
    type_: Annotated[str, typer.Argument(metavar="TYPE", help="A dotted type, such as link.created.")],
    subject: Annotated[str | None, typer.Option(help="What it is about.")] = None,
    data: Annotated[str | None, typer.Option(help="A JSON object.")] = None,
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
