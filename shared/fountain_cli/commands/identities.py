"""`fountain identities`: who may call, and their API keys."""

import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from fountain_cli.api import ISSUER
from fountain_cli.arguments import Identity, KeyId
from fountain_cli.connection import connect
from fountain_cli.screen import AsJson, as_json, fields, moment, say, table
from fountain_cli.teaching import Group, command

app = typer.Typer(cls=Group, help="Identities and their API keys.", no_args_is_help=True)
_Roles = Annotated[
    list[str] | None, typer.Option("--role", help="admin, operator, auditor ...; may be repeated.")
]


@command(app, "list", examples=["fountain identities list"])
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
    table(("name", "kind", "roles", "state", "description"), rows, flexible=("roles", "description"))


@command(app, examples=["fountain identities show ada"])
def show(name: Identity, json: AsJson = False) -> None:
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
    table(("key", "state", "for", "last used", "description"), rows, flexible=("for", "description"))


def _state(key: dict[str, Any]) -> str:
    return "revoked" if key["revoked_at"] else "enabled" if key["enabled"] else "disabled"


@command(app, examples=["fountain identities create ada --role operator"])
def create(
    name: Identity,
    role: _Roles = None,
    kind: Annotated[str, typer.Option(help="person, robot or service.")] = "person",
    description: Annotated[str, typer.Option(help="Who or what it is.")] = "",
    json: AsJson = False,
) -> None:
    """Make an identity; it has no key yet."""
    body = {"name": name, "kind": kind, "roles": role or [], "description": description}
    with connect() as api:
        # A name that is taken is so for good: not even a revoked one is given again.
        found = api.call(ISSUER, "POST", "/identities", json=body, for_good=(409,))
    if json:
        as_json(found)
    else:
        say(f"{found['name']} is made. Give it a key: fountain identities key {found['name']}")


@command(
    app, examples=["fountain identities key ada", "fountain identities key ada --audience action --days 90"]
)
def key(
    name: Identity,
    audience: Annotated[
        list[str] | None, typer.Option(help="Only for this service; may be repeated.")
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, help="It ends after so many days.")] = None,
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    json: AsJson = False,
) -> None:
    """Make an API key and print it, and nothing else. It is shown this once.

    An API key is exchanged for tokens. One with an audience is honoured by that service alone.
    """
    ends = (datetime.now(UTC) + timedelta(days=days)).isoformat() if days else None
    body = {"audiences": audience or [], "description": description, "expires_at": ends}
    with connect() as api:
        found = api.call(ISSUER, "POST", f"/identities/{name}/keys", json=body)
    if json:
        as_json(found)
        return
    say(f"Keep it now; it is not shown again. Its id is {found['key_id']}.")
    sys.stdout.write(found["api_key"] + "\n")


@command(app, "revoke-key", examples=["fountain identities revoke-key ada w80f7hyfv8jhlz"])
def revoke_key(name: Identity, key_id: KeyId) -> None:
    """Revoke an API key, and every token that was had with it."""
    with connect() as api:
        api.call(ISSUER, "DELETE", f"/identities/{name}/keys/{key_id}")
    say(f"The key {key_id} of {name} is revoked.")


@command(app, "enable-key", examples=["fountain identities enable-key ada w80f7hyfv8jhlz"])
def enable_key(name: Identity, key_id: KeyId) -> None:
    """Enable an API key that is disabled, as all are after a restore."""
    _set_enabled(name, key_id, enabled=True)


@command(app, "disable-key", examples=["fountain identities disable-key ada w80f7hyfv8jhlz"])
def disable_key(name: Identity, key_id: KeyId) -> None:
    """Disable an API key until it is enabled again."""
    _set_enabled(name, key_id, enabled=False)


def _set_enabled(name: str, key_id: str, *, enabled: bool) -> None:
    with connect() as api:
        api.call(ISSUER, "PATCH", f"/identities/{name}/keys/{key_id}", json={"enabled": enabled})
    say(f"The key {key_id} of {name} is {'enabled' if enabled else 'disabled'}.")


@command(app, examples=["fountain identities revoke ada"])
def revoke(name: Identity) -> None:
    """Revoke an identity, its keys and its tokens. Its name is not given again."""
    with connect() as api:
        api.call(ISSUER, "DELETE", f"/identities/{name}")
    say(f"{name} is revoked.")
