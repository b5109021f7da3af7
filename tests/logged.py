"""What the parts of a platform have logged, line by line."""

import json
from contextlib import suppress
from typing import Any

from fountain_cli.stack import Stack


def logged(stack: Stack, service: str) -> list[dict[str, Any]]:
    """Return the lines of a service, or of the edge, that are objects; the oldest first."""
    found = []
    for line in stack.logs(service).splitlines():
        # Some versions of Compose put something before it, whatever they are told.
        _, brace, rest = line.partition("{")
        # The last one may be in the middle of being written.
        with suppress(ValueError):
            found.append(json.loads(brace + rest))
    return found
