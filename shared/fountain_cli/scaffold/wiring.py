"""A service's place in `compose.yaml` and `compose.dev.yaml`. Pure: text in, text out.

The files are written for people, with comments and an order; so lines are put in at marked places and nothing
else is touched, and what a person reviews is those lines.
"""

import re
from collections.abc import Sequence

_SERVICES = "  # New services stand above this line."
_IDENTITIES = "      # Identities of new services stand above this line."
_VOLUMES = "  # Volumes of new services stand above this line."
_RECONCILED = re.compile(r"(FOUNTAIN_SERVICES: \$\{FOUNTAIN_SERVICES:-)([^}]*)(\})")


class CannotWire(Exception):
    """A file lacks the place where a service is put in; the message names it."""


def wired(compose: str, name: str, generated: Sequence[str] = ()) -> str:
    """`compose.yaml` with the service in it; unchanged where it is there already.

    `generated` are the keys that the Secrets Manager makes for it besides the two that every service gets.
    """
    if re.search(rf"^  {re.escape(name)}:$", compose, re.MULTILINE):
        return compose
    service = [
        f"  {name}:",
        "    <<: *service",
        f"    build: {{ <<: *build, dockerfile: services/{name}/Dockerfile }}",
        "    environment: *environment",
        "    volumes:",
        f"      - data-{name}:/data",
        f"      - identity-{name}:/run/fountain/identity:ro",
        "",
    ]
    text = _above(compose, _SERVICES, service)
    text = _above(text, _IDENTITIES, [f"      - identity-{name}:/identities/{name}"])
    text = _above(text, _VOLUMES, [f"  data-{name}:", f"  identity-{name}:"])
    return listed(text, name, generated)


def published(compose_dev: str, name: str, port: int) -> str:
    """`compose.dev.yaml` with the service, hot reload and a port on loopback; unchanged where it is there."""
    if re.search(rf"^  {re.escape(name)}:$", compose_dev, re.MULTILINE):
        return compose_dev
    service = [f"  {name}:", "    <<: *reload", f'    ports: ["127.0.0.1:{port}:8000"]', "    volumes:"]
    service += [
        f"      - ./services/{name}:/app:ro",
        "      - ./shared/fountain_common:/opt/fountain/fountain_common:ro",
        "",
    ]
    return _above(compose_dev, _SERVICES, service)


def _above(text: str, marker: str, lines: Sequence[str]) -> str:
    if f"{marker}\n" not in text:
        raise CannotWire(f"The line {marker.strip()!r} is missing; put it back where new entries belong.")
    return text.replace(f"{marker}\n", "\n".join((*lines, marker)) + "\n", 1)


def listed(compose: str, name: str, generated: Sequence[str] = ()) -> str:
    """A Compose file whose list of services for the Secrets Manager has this one in it."""
    found = _RECONCILED.search(compose)
    if found is None:
        raise CannotWire(
            "FOUNTAIN_SERVICES has no default list in a Compose file; add the service there by hand."
        )
    if name in (word.partition(":")[0] for word in found[2].split()):
        return compose
    word = ":".join((name, *generated))
    return _RECONCILED.sub(rf"\g<1>\g<2> {word}\g<3>", compose, count=1)
