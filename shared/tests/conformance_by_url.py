"""What the check says of a service of the house of which it knows the URL alone."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
from conformance_service import Edit, Tampering, things
from fountain_cli.conformance import Outcome, Target, Tokens, check
from fountain_common.settings import ServiceSettings
from fountain_common.testing import ServiceClient, service_client

# What cannot be seen of a service from outside, each with a word of the reason.
OUT_OF_SIGHT = {
    "layout": "sources",
    "registered with a lease": "platform",
    "deregistered when stopped": "platform",
    "says that it started": "platform",
    "says that it stops": "platform",
    "says how it is": "platform",
    "logs as JSON": "logs",
    "requests in the log": "logs",
    "logs repeat nothing": "logs",
    "rotation honoured": "--rotate",
    "values stay secret": "--rotate",
}


@contextmanager
def served() -> Iterator[ServiceClient]:
    """Answers a client without a token of a running service of the house."""
    settings = ServiceSettings(_env_file=None, service_name="things")
    with service_client(things(settings), roles=None) as client:
        yield client


def by_url(
    service: ServiceClient, edit: Edit = lambda _, answer: answer, **tokens: str | None
) -> list[Outcome]:
    """What the check says of a service of which it knows the URL alone."""
    world = service.world
    given: dict[str, str | None] = {
        "admin": world.tokens.token("root", ["admin"], "things"),
        "powerless": world.tokens.token("nobody", [], "things"),
        "foreign": world.tokens.token("root", ["admin"], "other-things"),
    }
    with httpx2.Client(transport=Tampering(service, edit), base_url="http://things") as client:
        return check(Target(client, Tokens(**{**given, **tokens})))


def broken(outcomes: list[Outcome]) -> set[str]:
    return {outcome.title for outcome in outcomes if outcome.findings}


def unchecked(outcomes: list[Outcome]) -> dict[str, str]:
    return {outcome.title: outcome.not_checked for outcome in outcomes if outcome.not_checked}
