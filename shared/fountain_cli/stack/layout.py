"""Which services this repository has, and where each listens as a local process."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fountain_cli.stack.face import NoSuchService, NotScalable

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

    @property
    def store(self) -> str:
        """The name of its embedded database, in the folder for its data."""
        return f"{self.name.replace('-', '_')}.db"


KNOWN = (
    Service("gateway-lookup", 8000, replicable=False),
    Service("secrets-manager", 8001, tls=True, replicable=False),
    Service("example-consumer", 8002),
    Service("notification", 8003, generated=("DATA_KEY",), replicable=False),
    Service("two-factor", 8004, generated=("DATA_KEY",)),
    Service("action", 8005),
)


def services(root: Path) -> list[Service]:
    """Return the services in `root`: every folder below `services/` that can be started.

    A service from the template keeps its port in its answers, so that a further one does not move it.
    """
    known = {service.name: service for service in KNOWN}
    folders = sorted(path.parent for path in (root / "services").glob("*/entrypoint.py"))
    others = sorted(
        (_answered(folder) for folder in folders if folder.name not in known),
        key=lambda one: (one.port, one.name),
    )
    return [known[name] for name in known if root / "services" / name in folders] + others


def require_scalable(found: Iterable[Service], name: str, count: int) -> None:
    """Return if so many processes of a service may run.

    Raises:
        NoSuchService: there is none of that name.
        NotScalable: it takes one process alone.
    """
    known = {service.name: service for service in found}
    if name not in known:
        raise NoSuchService(name, known)
    if count > 1 and not known[name].replicable:
        raise NotScalable(name)


def next_port(root: Path) -> int:
    """Return the port for the next service from the template."""
    return max([FIRST_FREE_PORT, *(service.port + 1 for service in services(root))])


def _answered(folder: Path) -> Service:
    answers = folder / ".copier-answers.yml"
    text = answers.read_text() if answers.is_file() else ""
    port = re.search(r"^port: (\d+)$", text, re.MULTILINE)
    generated = re.search(r"^generated: [\"']?([A-Z0-9_ ]*)[\"']?$", text, re.MULTILINE)
    return Service(
        folder.name,
        int(port[1]) if port else FIRST_FREE_PORT,
        generated=tuple(generated[1].split()) if generated else (),
    )


def repository() -> Path:
    """Return the repository: `FOUNTAIN_ROOT`, else the nearest folder upwards, else the one of this file.

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
