"""`fountain check`: whether running services keep what every service keeps."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import httpx2
import typer
from fountain_common.names import PLATFORM

from fountain_cli.api import Api
from fountain_cli.conformance import Keeper, Outcome, Platform, Target, Tokens
from fountain_cli.conformance import check as examine
from fountain_cli.connection import connect, here, remote_domain
from fountain_cli.exits import FAILED, NOT_FOUND, USAGE, CommandError, leave
from fountain_cli.powerless import powerless
from fountain_cli.reach import may_be_given_tokens, through_edge
from fountain_cli.screen import AsJson, as_json, err, say, table
from fountain_cli.stack import ComposeStack, LocalStack, StackError, edge
from fountain_cli.stack.layout import repository
from fountain_cli.teaching import command

# Nobody serves it, so that the token for it is worth nothing to the service that is shown it.
_ELSEWHERE = "conformance-elsewhere"
_TOKEN_FILE = "FOUNTAIN_CHECK_TOKEN_FILE"  # noqa: S105 - the name of a variable
_Report = dict[str, list[Outcome]]


def register(app: typer.Typer) -> None:
    """Add the command."""
    examples = [
        "fountain check --all",
        "fountain check stories --rotate --restart",
        "fountain check http://127.0.0.1:9000 --as stories",
    ]
    command(app, examples=examples)(check)


def check(
    what: Annotated[
        str | None, typer.Argument(metavar="[SERVICE|URL]", help="A service of the platform, or any URL.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every service of the platform.")] = False,
    name: Annotated[
        str | None,
        typer.Option("--as", help="With a URL: the service's name on the platform, which gives the tokens."),
    ] = None,
    send_token: Annotated[
        bool,
        typer.Option(
            "--send-token",
            help="With --as: whoever answers at the URL may have admin tokens for the service.",
        ),
    ] = False,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Rotate its secret, and see that every instance follows.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Stop it and start it again, and see what it says.")
    ] = False,
    as_json_: AsJson = False,
) -> None:
    """Check that a running service keeps what every service keeps; ends with 1 where one does not.

    A URL alone is checked without the platform, with a token from the file that FOUNTAIN_CHECK_TOKEN_FILE
    names, if there is one; FOUNTAIN_CA_FILE names the authority behind its certificate. What cannot be
    checked is named with the reason, and does not count as kept.

    With --as, tokens for the service are sent to the URL, an administrator's among them. It has to be on this
    machine or below the platform's domain; anywhere else, --send-token says that it may have them.
    """
    if everything == (what is not None):
        raise CommandError("Name a service or a URL, or say --all.", USAGE)
    is_url = what is not None and what.startswith(("http://", "https://"))
    if name is not None and not is_url:
        raise CommandError("--as goes with a URL.", USAGE)
    if send_token and name is None:
        raise CommandError("--send-token goes with a URL and --as.", USAGE)
    if name in PLATFORM:
        # Its tokens open the whole platform, and a URL may be anybody's.
        raise CommandError(
            f"A URL is not given the tokens of {name}; check it as: fountain check {name}", USAGE
        )
    if name is not None and restart:
        raise CommandError("--restart goes with a service that this machine keeps, not with a URL.", USAGE)
    if is_url and name is None:
        if rotate or restart:
            raise CommandError("--rotate and --restart need the platform: name the service with --as.", USAGE)
        found = {str(what): _of_url(str(what))}
    else:
        found = _of_platform(what, name, send_token=send_token, rotate=rotate, restart=restart)
    if as_json_:
        as_json({service: _as_document(outcomes) for service, outcomes in found.items()})
    else:
        _show(found)
    if any(outcome.findings for outcomes in found.values() for outcome in outcomes):
        raise leave(FAILED)


def _of_url(url: str) -> list[Outcome]:
    path = os.environ.get(_TOKEN_FILE)
    token = Path(path).read_text().strip() if path else None
    stack = _stack_of(url)
    with edge.client(url.rstrip("/"), _ca(stack)) as client:
        return examine(Target(client, Tokens(admin=token), inside=not through_edge(url, stack)))


def _stack_of(url: str) -> ComposeStack | LocalStack | None:
    """The platform on this machine, where the URL may be of its edge."""
    if not edge.is_loopback_name(urlsplit(url).hostname or ""):
        return None
    try:
        return here()
    except CommandError:
        return None


def _ca(stack: ComposeStack | LocalStack | None) -> Path | None:
    given = os.environ.get("FOUNTAIN_CA_FILE")
    if given:
        return Path(given)
    return stack.ca() if stack else None


def _of_platform(
    what: str | None, name: str | None, *, send_token: bool, rotate: bool, restart: bool
) -> _Report:
    keeper = here() if remote_domain() is None else None
    if name is not None and not (send_token or may_be_given_tokens(str(what), keeper)):
        raise CommandError(
            f"{what} is neither on this machine nor, by https, below the platform's domain, and would get "
            f"an administrator's token for {name}, which is good at the real one. If whoever answers there "
            "may have it, say --send-token.",
            USAGE,
        )
    with connect() as api, powerless(api) as nobody:
        catalog = sorted(entry["service_name"] for entry in api.get("gateway-lookup", "/catalog")["services"])
        if name is None and what is not None and what not in catalog:
            raise CommandError(f"{what} is not in the catalog; there are {', '.join(catalog)}.", NOT_FOUND)
        found: _Report = {}
        for service in [name or what] if what else catalog:
            assert service is not None  # noqa: S101 - for the type checker; `what` or a name of the catalog
            with _target(api, nobody, service, what if name else None, keeper) as parts:
                target = Target(**parts, may_rotate=rotate, may_restart=restart)
                with err.status(f"Checking {service}"):
                    found[what if name and what else service] = examine(target)
        return found


@contextmanager
def _target(
    api: Api, nobody: Api, service: str, url: str | None, stack: ComposeStack | LocalStack | None
) -> Iterator[dict[str, Any]]:
    """Open what a target consists of: past the edge where that is possible from here."""
    tokens = Tokens(api.token(service), nobody.token(service), api.token(_ELSEWHERE))
    parts: dict[str, Any] = {"tokens": tokens, "name": service, "platform": Platform(service, api.request)}
    if url is not None:
        with edge.client(url.rstrip("/"), _ca(stack)) as client:
            yield {**parts, "client": client, "inside": not through_edge(url, stack)}
        return
    kept: Keeper | None = stack
    parts |= {"client": api.client(service), "inside": False, "keeper": kept, "sources": _sources()}
    with _direct(stack, service) as direct:
        yield {**parts, "direct": direct}


@contextmanager
def _direct(stack: ComposeStack | LocalStack | None, service: str) -> Iterator[httpx2.Client | None]:
    """Open a client of the first instance, past the edge; None where this machine keeps none."""
    try:
        address = stack.address(service) if stack else None
    except (StackError, KeyError, IndexError, StopIteration):
        address = None
    if stack is None or address is None:
        yield None
        return
    trusted: Any = True
    if address.startswith("https:"):
        trusted = edge.context(None)
        trusted.load_verify_locations(cadata=stack.issuer_ca())
        # It is reached by its address, and its certificate names the service.
        trusted.check_hostname = False
    with httpx2.Client(base_url=address, verify=trusted, timeout=10) as client:
        yield client


def _sources() -> Path | None:
    try:
        return repository()
    except FileNotFoundError:
        return None


def _as_document(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    return {
        "findings": [vars(finding) for outcome in outcomes for finding in outcome.findings],
        "kept": [{"rule": one.rule, "title": one.title} for one in outcomes if one.kept],
        "not_checked": [
            {"rule": one.rule, "title": one.title, "why": one.not_checked}
            for one in outcomes
            if one.not_checked
        ],
    }


def _show(found: _Report) -> None:
    rows = [
        (service, finding.rule, finding.place, finding.problem, finding.remedy)
        for service, outcomes in found.items()
        for outcome in outcomes
        for finding in outcome.findings
    ]
    if rows:
        table(("service", "rule", "where", "what", "what to do"), rows)
        say("docs/rules.md describes the rules.")
    for service, outcomes in found.items():
        counted = {
            "findings": sum(len(outcome.findings) for outcome in outcomes),
            "rules kept": sum(outcome.kept for outcome in outcomes),
            "not checked": sum(bool(outcome.not_checked) for outcome in outcomes),
        }
        said = ", ".join(f"{count} {what}" for what, count in counted.items() if count)
        say(f"{service}: {said}")
        for outcome in outcomes:
            if outcome.not_checked:
                say(f"  not checked: rule {outcome.rule}, {outcome.title}: {outcome.not_checked}")
