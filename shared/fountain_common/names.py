"""Names of services: one function decides for everyone."""

import re

from fountain_common.errors import InvalidName

PLATFORM = ("secrets-manager", "notification", "gateway-lookup")
"""The three services that every other one may rely on; a token without `resource` is for these."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)


def service_name(raw: str) -> str:
    """Return the canonical form of a service's name.

    `_` is folded to `-`; everything else must already be `[a-z0-9][a-z0-9-]{0,62}`: upper case, dots, slashes
    and look-alike letters are refused, never mended, so that one name cannot reach what belongs to another.

    Raises:
        InvalidName: a 422 problem that says what a name looks like.
    """
    name = raw.replace("_", "-")
    if not _NAME.fullmatch(name):
        raise InvalidName(
            "A service name has 1 to 63 characters: lower-case letters, digits and hyphens, "
            "and starts with a letter or digit."
        )
    return name


def is_canonical(raw: str) -> bool:
    """Tell whether this is a service's name as it is kept, with nothing to fold and nothing to refuse."""
    return _NAME.fullmatch(raw) is not None


def snake(name: str) -> str:
    """Return the name of a service's Python package: `gateway-lookup` is `gateway_lookup`."""
    return service_name(name).replace("-", "_")
