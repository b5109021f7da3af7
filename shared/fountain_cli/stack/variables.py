"""What the command is told: the repository's `.env`, and the environment over it, as Compose reads both."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from fountain_cli.stack.face import BadSetting

TLS, ACME = "FOUNTAIN_TLS", "acme"
_LOCAL = "local"
_OURS = re.compile(r"FOUNTAIN_|COMPOSE_|(PYTHON|CADDY|PROMETHEUS)_IMAGE$")


def variables(root: Path) -> dict[str, str]:
    """Return all variables, by name.

    Which engine is meant, `DOCKER_*`, the environment says alone: Docker's own command reads no `.env`.

    Raises:
        BadSetting: a value in `.env` of those that the command reads has a `$`.
    """
    from dotenv import dotenv_values

    written: dict[str, str] = {}
    for name, value in dotenv_values(root / ".env", interpolate=False).items():
        if value is None or name.startswith("DOCKER_"):
            continue
        if "$" not in value:
            written[name] = value
        elif _OURS.match(name):
            raise BadSetting(
                f"{name} in .env has a `$`, which Compose would read in one way and this command in another. "
                "Write out what it stands for."
            )
    return {**written, **os.environ}


def issuer_of_certificates(given: Mapping[str, str]) -> str:
    """Return who issues the certificates of the edge: `local`, its own authority, or `acme`, a public one."""
    return given.get(TLS) or _LOCAL


def refuse_bad_tls(given: Mapping[str, str], *, at_home: bool) -> None:
    """Return if the edge can have its certificates from whom `FOUNTAIN_TLS` names.

    Args:
        given: all variables.
        at_home: the platform's domain is of this machine alone.

    Raises:
        BadSetting: nobody is of that name, or no public authority can know the domain.
    """
    issuer = issuer_of_certificates(given)
    if issuer not in (_LOCAL, ACME):
        raise BadSetting(f"{TLS} is {issuer!r}; it can be {_LOCAL} or {ACME}.")
    if issuer == ACME and at_home:
        raise BadSetting(
            f"{TLS}={ACME} needs a domain of your own in FOUNTAIN_DOMAIN: no public authority issues a "
            "certificate for a name of this machine."
        )
