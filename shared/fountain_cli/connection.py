"""Which platform a command talks to, and as whom.

`FOUNTAIN_DOMAIN` with a key stored by `fountain login` names any platform; without it, the one that runs on
this machine is meant, with its administrator's key.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx2

from fountain_cli import keys
from fountain_cli.api import ISSUER, Api
from fountain_cli.exits import DENIED, UNAVAILABLE, USAGE, CommandError
from fountain_cli.stack import ComposeStack, LocalStack, NotRunning, StackError, choice, edge

_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?")


@dataclass(frozen=True)
class Place:
    """A platform: its issuer, and the way to its services.

    Attributes:
        issuer: its URL, by which keys are stored.
        open_client: answers a client of a service by its name.
        own_key: answers the administrator's key, where the platform runs on this machine.
    """

    issuer: str
    open_client: Callable[[str], httpx2.Client]
    own_key: Callable[[], str] | None = None


def remote_domain() -> str | None:
    """Return the domain in `FOUNTAIN_DOMAIN`, if it is not of this machine. It may have a port.

    Raises:
        CommandError: it is not a domain.
    """
    domain = os.environ.get("FOUNTAIN_DOMAIN", "").strip().lower()
    if not domain or edge.is_loopback_name(domain):
        return None
    if not _DOMAIN.fullmatch(domain):
        raise CommandError(f"FOUNTAIN_DOMAIN is {domain!r}; write a domain, as fountain.example.", USAGE)
    return domain


def here(*, asks: bool = False) -> ComposeStack | LocalStack:
    """Return the stack on this machine.

    Args:
        asks: the command itself asks whether what a vanished clone started is this one's now.

    Raises:
        CommandError: none runs.
    """
    try:
        return choice.current(asks=asks)
    except (NotRunning, FileNotFoundError) as error:
        raise CommandError(str(error), UNAVAILABLE) from None


def beside() -> ComposeStack | LocalStack:
    """Return the platform whose databases this machine has, whether it runs or not.

    Raises:
        CommandError: another one is meant.
    """
    stack = choice.running_or_next()
    if (domain := remote_domain()) and domain != stack.domain:
        raise CommandError(
            f"FOUNTAIN_DOMAIN is {domain}, and the platform here is {stack.domain}. "
            "This is done on the machine that has the databases.",
            USAGE,
        )
    return stack


def place() -> Place:
    """Return the platform that is meant: the one in `FOUNTAIN_DOMAIN`, else the one on this machine.

    A platform that runs here under the very domain of `FOUNTAIN_DOMAIN` is the one on this machine, unless a
    key for it is stored.

    Raises:
        CommandError: there is none.
    """
    domain = remote_domain()
    if domain is None:
        return _local(here())
    if keys.stored(issuer(domain)) is None:
        try:
            stack = choice.current()
        except (StackError, FileNotFoundError):
            return _remote(domain)
        if stack.domain == domain:
            return _local(stack)
    return _remote(domain)


def _local(stack: ComposeStack | LocalStack) -> Place:
    return Place(stack.url(ISSUER), stack.client, stack.admin_key)


def _remote(domain: str) -> Place:
    ca = os.environ.get("FOUNTAIN_CA_FILE")
    if ca and not Path(ca).is_file():
        raise CommandError(f"FOUNTAIN_CA_FILE names {ca}, which is not there.", USAGE)
    return Place(
        issuer(domain), lambda service: edge.client(f"https://{service}.{domain}", Path(ca) if ca else None)
    )


def connect() -> Api:
    """Connect to the platform that is meant.

    Raises:
        CommandError: there is none, or no key for it.
    """
    where = place()
    key = keys.stored(where.issuer) or (where.own_key() if where.own_key else None)
    if key is None:
        raise CommandError(f"No key is stored for {where.issuer}. Store one with: fountain login", DENIED)
    return Api(key, where.open_client)


def issuer(domain: str) -> str:
    """Return the URL of a platform's issuer."""
    return f"https://{ISSUER}.{domain}"
