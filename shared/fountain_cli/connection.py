"""Which platform a command talks to, and as whom.

`FOUNTAIN_DOMAIN` with a key stored by `fountain login` names any platform; without it, the one that runs on
this machine is meant, with its administrator's key.
"""

import os
from pathlib import Path

from fountain_cli import keys
from fountain_cli.api import ISSUER, Api
from fountain_cli.exits import DENIED, UNAVAILABLE, CommandError
from fountain_cli.stack import ComposeStack, LocalStack, StackError, choice, edge
from fountain_cli.stack.layout import DEFAULT_DOMAIN


def remote_domain() -> str | None:
    """Answer the domain in `FOUNTAIN_DOMAIN`, if it is not of this machine."""
    domain = os.environ.get("FOUNTAIN_DOMAIN")
    return domain if domain and not edge.is_loopback_name(domain) else None


def here() -> ComposeStack | LocalStack:
    """Answer the stack on this machine.

    Raises:
        CommandError: none runs.
    """
    try:
        return choice.current()
    except (StackError, FileNotFoundError) as error:
        raise CommandError(str(error), UNAVAILABLE) from None


def connect() -> Api:
    """Connect to the platform that is meant.

    Raises:
        CommandError: there is none, or no key for it.
    """
    domain = remote_domain()
    if domain is None or keys.stored(issuer(domain)) is None:
        try:
            stack = choice.current()
        except (StackError, FileNotFoundError) as error:
            if domain is None:
                raise CommandError(str(error), UNAVAILABLE) from None
            raise CommandError(
                f"No key is stored for {issuer(domain)}. Store one with: fountain login", DENIED
            ) from None
        key = keys.stored(stack.url(ISSUER)) or stack.admin_key()
        return Api(key, stack.client)
    key = keys.stored(issuer(domain)) or ""
    ca = os.environ.get("FOUNTAIN_CA_FILE")
    return Api(key, lambda service: edge.client(f"https://{service}.{domain}", Path(ca) if ca else None))


def issuer(domain: str = DEFAULT_DOMAIN) -> str:
    """Answer the URL of a platform's issuer."""
    return f"https://{ISSUER}.{domain}"
