"""Which names a new service may have: it is a subdomain, an identity, a package and a Compose service."""

import keyword
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

from fountain_common.errors import InvalidName
from fountain_common.names import PLATFORM, service_name, snake

from fountain_cli.stack.layout import KNOWN

_PLATFORM_OWN = {*PLATFORM, "admin", "caddy", "prometheus", "fountain", "fountainai"}
_SHIPPED = {service.name for service in KNOWN}
# What browsers, mail and name servers look for below any domain.
_OF_DOMAINS = {"www", "mail", "smtp", "imap", "pop", "ftp", "ns", "localhost", "wpad", "isatap", "autoconfig"}
# Packages of this repository, and one of Python's that is not listed as such.
_OWN_PACKAGES = {"main", "entrypoint", "tests", "test", "shared", "fountain_common", "fountain_cli"}
_HOSTS = re.compile(r"hosts=\[([^\]]*)\]")


class BadName(Exception):
    """No service may have this name; the message says why, and what to do."""


def good_name(root: Path, raw: str) -> str:
    """Return the name if a new service in the repository at `root` may have it.

    Raises:
        BadName: it may not.
    """
    try:
        name = service_name(raw)
    except InvalidName as reason:
        raise BadName(str(reason)) from None
    if name != raw:
        raise BadName(f"{raw!r} is not written as names are: use {name!r}.")
    if name.endswith("-") or "--" in name:
        raise BadName(f"{name!r} cannot be a subdomain: hyphens stand alone, between letters and digits.")
    if name in _PLATFORM_OWN:
        raise BadName(f"{name!r} is a name of the platform's own. Choose another.")
    if name in _SHIPPED:
        raise BadName(f"services/{name} is there already: it came with the platform. Choose another name.")
    if name in _OF_DOMAINS:
        raise BadName(f"{name!r} has a meaning below every domain. Choose another.")
    if owner := _hosts(root).get(name):
        raise BadName(f"{name!r} is the subdomain of {owner} already. Choose another.")
    _refuse_package(name, snake(name))
    return name


def _refuse_package(name: str, package: str) -> None:
    if not package.isidentifier():
        raise BadName(f"{name!r} cannot be the name of a Python package: begin with a letter.")
    if keyword.iskeyword(package):
        raise BadName(f"{name!r} is a word of Python's own, which no package can have as its name.")
    if package in sys.stdlib_module_names or package in _OWN_PACKAGES or package in packages_distributions():
        raise BadName(f"{package!r} is a Python package already, which the service's own would hide.")


def _hosts(root: Path) -> dict[str, str]:
    """The further subdomains of services, with whose they are."""
    found: dict[str, str] = {}
    for main in sorted((root / "services").glob("*/main.py")):
        for hosts in _HOSTS.findall(main.read_text()):
            found |= dict.fromkeys(re.findall(r"[\"']([^\"']+)[\"']", hosts), main.parent.name)
    return found
