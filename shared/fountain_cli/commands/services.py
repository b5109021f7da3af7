"""`fountain new` and `fountain check`: a service from the template, and whether one keeps the rules."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from fountain_cli.api import ISSUER, Api
from fountain_cli.conformance import RULES, Finding, Target, Tokens
from fountain_cli.conformance import check as examine
from fountain_cli.conformance.layout import misplaced
from fountain_cli.connection import connect
from fountain_cli.exits import FAILED, REFUSED, USAGE, CommandError, leave
from fountain_cli.scaffold import NotMade, make_service, upgrade_service
from fountain_cli.screen import AsJson, as_json, out, say, table
from fountain_cli.stack import edge
from fountain_cli.stack.layout import repository, services

_ELSEWHERE = "example-consumer"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(new)
    app.command()(upgrade)
    app.command()(check)


def new(
    name: Annotated[str, typer.Argument(help="In kebab case, as its subdomain will be: stories.")],
    description: Annotated[str, typer.Option(help="What it does, in a sentence.")] = "",
) -> None:
    """Make a service from the template and wire it into the platform; nothing is left to edit."""
    try:
        written = make_service(repository(), name, description=description)
    except NotMade as reason:
        raise CommandError(str(reason), REFUSED) from None
    if not written:
        say(f"services/{name} is there already; nothing was changed.")
        return
    for path in written:
        out.print(f"  {path}", highlight=False)
    say(f"\nmake test service={name}   tests it alone\nmake up                 starts it with the platform")


def upgrade(name: Annotated[str, typer.Argument(help="A service from the template.")]) -> None:
    """Bring what has changed in the template to a service; ends with 1 where conflicts are left."""
    try:
        done = upgrade_service(repository(), name)
    except NotMade as reason:
        raise CommandError(str(reason), REFUSED) from None
    for path in done.changed:
        out.print(f"  merged    services/{name}/{path}", highlight=False)
    for path in done.conflicts:
        out.print(f"  conflict  services/{name}/{path}", highlight=False)
    if not done.changed and not done.conflicts:
        say(f"services/{name} is up to date.")
    if done.conflicts:
        raise leave(FAILED)


def check(
    what: Annotated[
        str | None, typer.Argument(metavar="[SERVICE|URL]", help="A service of the platform, or any URL.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every service of the platform.")] = False,
    as_json_: AsJson = False,
) -> None:
    """Check that a running service keeps what every service keeps; ends with 1 where one does not."""
    if everything == (what is not None):
        raise CommandError("Name a service or a URL, or say --all.", USAGE)
    if what is not None and what.startswith(("http://", "https://")):
        found = {what: _of_url(what)}
    else:
        found = _of_platform(what)
    if as_json_:
        as_json({name: [vars(finding) for finding in findings] for name, findings in found.items()})
    else:
        _show(found)
    if any(found.values()):
        raise leave(FAILED)


def _of_url(url: str) -> list[Finding]:
    """With a token from `FOUNTAIN_CHECK_TOKEN_FILE` if there is one; what needs others is left out."""
    path = os.environ.get("FOUNTAIN_CHECK_TOKEN_FILE")
    token = Path(path).read_text().strip() if path else None
    with edge.client(url.rstrip("/"), None) as client:
        return examine(Target(client, Tokens(admin=token)))


def _of_platform(name: str | None) -> dict[str, list[Finding]]:
    with connect() as api:
        names = [name] if name else sorted(entry["service_name"] for entry in _catalog(api))
        with _powerless(api) as powerless:
            return {one: _of_service(api, one, powerless) for one in names}


def _catalog(api: Api) -> list[dict[str, str]]:
    answer = api.get("gateway-lookup", "/catalog")
    entries: list[dict[str, str]] = answer["items"] if "items" in answer else answer["services"]
    return entries


def _of_service(api: Api, name: str, powerless: Api) -> list[Finding]:
    elsewhere = _ELSEWHERE if name != _ELSEWHERE else None
    tokens = Tokens(admin=api.token(name), powerless=powerless.token(name), foreign=api.token(elsewhere))
    found = examine(Target(api.client(name), tokens, inside=False))
    try:
        root = repository()
    except FileNotFoundError:
        return found
    if name in {service.name for service in services(root)}:
        found += misplaced(root, name)
    return found


@contextmanager
def _powerless(api: Api) -> Iterator[Api]:
    """An identity without any role, for as long as the check takes."""
    name = f"conformance-{secrets.token_hex(4)}"
    description = "A caller who may nothing, made by fountain check."
    api.call(ISSUER, "POST", "/identities", json={"name": name, "roles": [], "description": description})
    try:
        key = api.call(ISSUER, "POST", f"/identities/{name}/keys", json={})["api_key"]
        yield Api(key, api.client)
    finally:
        api.call(ISSUER, "DELETE", f"/identities/{name}")


def _show(found: dict[str, list[Finding]]) -> None:
    rows = [
        (name, finding.rule, finding.place, finding.problem, finding.remedy)
        for name, findings in found.items()
        for finding in findings
    ]
    if rows:
        table(("service", "rule", "where", "what", "what to do"), rows)
    for name, findings in found.items():
        verdict = f"{len(findings)} findings" if findings else f"keeps all {len(RULES)} rules"
        say(f"{name}: {verdict}")
