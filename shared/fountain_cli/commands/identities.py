"""`fountain identities`: who may call, and their API keys."""

import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from fountain_cli.api import ISSUER
from fountain_cli.connection import connect
from fountain_cli.screen import AsJson, as_json, fields, moment, say, table

app = typer.Typer(help="Identities and their API keys.", no_args_is_help=True)
_Name = Annotated[str, typer.Argument(help="The identity's name.")]
_Roles = Annotated[
    list[str] | None, typer.Option("--role", help="admin, operator, auditor ...; may be repeated.")
]


@app.command("list")
def list_(json: AsJson = False) -> None:
    """List identities."""
    with connect() as api:
        found = list(api.pages(ISSUER, "/identities", 10_000))
    if json:
        as_json(found)
        return
    rows = [
        (
            one["name"],
            one["kind"],
            ", ".join(one["roles"]),
            "revoked" if one["revoked_at"] else "",
            one["description"],
        )
        for one in found
    ]
    table(("name", "kind", "roles", "state", "description"), rows)


@app.command()
def show(name: _Name, json: AsJson = False) -> None:
    """Show an identity and its keys."""
    with connect() as api:
        found = api.get(ISSUER, f"/identities/{name}")
    if json:
        as_json(found)
        return
    fields(
        {
            "name": found["name"],
            "kind": found["kind"],
            "roles": ", ".join(found["roles"]),
            "remote": found["remote"],
        }
    )
    rows = [
        (
            one["key_id"],
            _state(one),
            ", ".join(one["audiences"]),
            moment(one["last_used_at"]),
            one["description"],
        )
        for one in found["keys"]
    ]
    table(("key", "state", "for", "last used", "description"), rows)


def _state(key: dict[str, Any]) -> str:
    return "revoked" if key["revoked_at"] else "enabled" if key["enabled"] else "disabled"


@app.command()
def create(
    name: _Name,
    role: _Roles = None,
    kind: Annotated[str, typer.Option(help="person, robot or service.")] = "person",
    description: Annotated[str, typer.Option()] = "",
    json: AsJson = False,
) -> None:
    """Make an identity; it has no key yet."""
    body = {"name": name, "kind": kind, "roles": role or [], "description": description}
    with connect() as api:
        found = api.call(ISSUER, "POST", "/identities", json=body)
    if json:
        as_json(found)
    else:
        say(f"{found['name']} is made. Give it a key: fountain identities key {found['name']}")


@app.command()
def key(
    name: _Name,
    audience: Annotated[
        list[str] | None, typer.Option(help="Only for this service; may be repeated.")
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, help="It ends after so many days.")] = None,
    description: Annotated[str, typer.Option()] = "",
) -> None:
    """Make an API key and print it, and nothing else; it is shown this once."""
    ends = (datetime.now(UTC) + timedelta(days=days)).isoformat() if days else None
    body = {"audiences": audience or [], "description": description, "expires_at": ends}
    with connect() as api:
        found = api.call(ISSUER, "POST", f"/identities/{name}/keys", json=body)
    say(f"Keep it now; it is not shown again. Its id is {found['key_id']}.")
    sys.stdout.write(found["api_key"] + "\n")


@app.command("revoke-key")
def revoke_key(name: _Name, key_id: Annotated[str, typer.Argument(help="The key's id.")]) -> None:
    """Revoke an API key, and every token that was had with it."""
    with connect() as api:
        api.call(ISSUER, "DELETE", f"/identities/{name}/keys/{key_id}")
    say(f"The key {key_id} of {name} is revoked.")


@app.command()
def revoke(name: _Name) -> None:
    """Revoke an identity, its keys and its tokens."""
    with connect() as api:
        api.call(ISSUER, "DELETE", f"/identities/{name}")
    say(f"{name} is revoked.")
