"""Which services this repository has, and where each listens as a local process (design, section 9)."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

EDGE = "caddy"
DEFAULT_DOMAIN = "fountain.localhost"
FIRST_FREE_PORT = 8010
"""Where the ports of services begin that this file does not name."""


@dataclass(frozen=True)
class Service:
    """A service of the repository.

    Attributes:
        name: its kebab-case name, also that of its folder.
        port: where its first process listens on loopback.
        generated: keys that the Secrets Manager makes for it besides the two that every service gets.
        tls: it serves TLS itself.
        replicable: more than one process of it may run; the platform's own services take one writer.
    """

    name: str
    port: int
    generated: tuple[str, ...] = ()
    tls: bool = False
    replicable: bool = True


KNOWN = (
    Service("gateway-lookup", 8000, replicable=False),
    Service("secrets-manager", 8001, tls=True, replicable=False),
    Service("example-consumer", 8002),
    Service("notification", 8003, generated=("DATA_KEY",), replicable=False),
    Service("two-factor", 8004, generated=("DATA_KEY",)),
    Service("action", 8005),
)


def named(names: Iterable[str]) -> list[Service]:
    """Answer the services of these names, the known ones first; others get ports in alphabetical order."""
    names = set(names)
    known = [service for service in KNOWN if service.name in names]
    others = sorted(names - {service.name for service in KNOWN})
    return known + [Service(name, FIRST_FREE_PORT + index) for index, name in enumerate(others)]


def services(root: Path) -> list[Service]:
    """Answer the services in `root`: every folder below `services/` that can be started."""
    return named(path.parent.name for path in (root / "services").glob("*/entrypoint.py"))


def repository() -> Path:
    """Answer the repository: `FOUNTAIN_ROOT`, else the nearest folder upwards, else the one of this file.

    Raises:
        FileNotFoundError: none of them is a repository of the platform.
    """
    if configured := os.environ.get("FOUNTAIN_ROOT"):
        return Path(configured).resolve()
    here = Path.cwd().resolve()
    for folder in (here, *here.parents, Path(__file__).resolve().parents[3]):
        if (folder / "compose.yaml").is_file() and (folder / "services").is_dir():
            return folder
    raise FileNotFoundError(
        "This is not a FountainAI repository: go to its folder, or name it in FOUNTAIN_ROOT."
    )
