"""What a running platform can do, whichever runtime it has: tests and commands know this alone."""

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx2


class StackError(Exception):
    """The stack cannot do this; the message says why and what to do."""


class NoSuchService(StackError):
    """There is no service of that name."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(f"There is no service {name!r} here; there are {', '.join(known)}.")


class NotScalable(StackError):
    """A service that runs as one process is to run as several."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} runs as one process: it is the one writer of its database.")


class NotRunning(StackError):
    """Nothing of the platform runs here."""


class BadSetting(StackError):
    """A setting that the command itself reads is refused."""


class Taken(StackError):
    """Somebody else has what the stack needs; later it may be free."""


class Foreign(Taken):
    """The Compose project belongs to another clone."""

    def __init__(self, project: str, folder: Path) -> None:
        super().__init__(
            f"The containers, keys and data of the Compose project {project} belong to the clone in "
            f"{folder}, and nothing was changed: go there, or give this clone a project of its own, with "
            "COMPOSE_PROJECT_NAME, FOUNTAIN_HTTP_PORT and FOUNTAIN_HTTPS_PORT in the environment or in .env "
            '(docs/deploy.md, "Two clones on one machine").'
        )


class Lost(Taken):
    """What runs was started by a clone that cannot be seen from here, and nobody agreed to take it over."""

    def __init__(self, project: str, whose: str) -> None:
        super().__init__(
            f"What runs as the Compose project {project} was started by {whose}, and nothing was done. If it "
            "is this clone's now, take it over with: fountain up (it asks first; --yes agrees beforehand)."
        )


@dataclass(frozen=True)
class Errand:
    """A program that is run once, beside what a stack keeps; who starts it has its pipes."""

    command: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str]

    def run(self) -> int:
        """Run it where the person sees it; return the exit status."""
        done = subprocess.run(self.command, cwd=self.directory, env=self.environment, check=False)  # noqa: S603
        return done.returncode


class Stack(Protocol):
    """A platform on this machine. `replica` counts from 0."""

    runtime: str
    """`docker` or `local`."""

    @property
    def domain(self) -> str:
        """Return the platform's domain."""

    def check_start(self) -> None:
        """Return if nothing that can be told beforehand forbids the start.

        Raises:
            BadSetting: a secret stands among the settings, or one of them is none that there is.
            Taken: somebody else has what it needs.
        """

    def start(self) -> None:
        """Start everything and wait until all of it is healthy; on a running stack, change what differs.

        Raises:
            StackError: it did not get healthy; the message ends with the log of what failed.
        """

    def stop(self, *, remove: bool = False) -> None:
        """Stop everything; `remove` forgets all keys and data as well."""

    def scale(self, service: str, replicas: int) -> None:
        """Run so many processes of one service, and wait until they are healthy."""

    def kill(self, service: str, replica: int = 0) -> None:
        """Kill one process (SIGKILL), as a crash would; the runtime starts it again. `caddy` is the edge."""

    def halt(self, service: str, replica: int | None = None) -> None:
        """Stop one or all processes of a service in good order (SIGTERM) and leave them stopped."""

    def resume(self, service: str, replica: int | None = None) -> None:
        """Start again what `halt` stopped, without waiting for it to be healthy."""

    def freeze(self, service: str, replica: int = 0) -> None:
        """Let one process stand still, its connections open and unanswered, until `thaw`."""

    def thaw(self, service: str, replica: int = 0) -> None:
        """Let a process go on; one that is not frozen does not notice."""

    def wait_healthy(self, service: str | None = None, timeout: float = 60) -> None:
        """Wait until this service, or everything, is healthy; the deadline is in seconds."""

    def replicas(self, service: str) -> int:
        """Return how many processes of this service there are."""

    def url(self, service: str = "") -> str:
        """Return the URL of a service through the edge, or that of the portal: `https://<service>.<domain>[:port]`."""

    def address(self, service: str, replica: int = 0) -> str:
        """Return the URL of one process itself, past the edge."""

    def host(self) -> str:
        """Return the address at which the services reach this machine."""

    def ca(self) -> Path | None:
        """Return a file with the CA of the edge; None where a public authority issues its certificates."""

    def issuer_ca(self) -> str:
        """Return the CA that the Secrets Manager's own certificate verifies against, as PEM."""

    def admin_key(self) -> str:
        """Return the API key of the first administrator."""

    def client(self, service: str, *, timeout: float = 30) -> httpx2.Client:
        """Open a client of this service through the edge; its paths are relative: `client.get("/health")`."""

    def async_client(
        self, service: str, *, timeout: float = 30, connections: int = 100
    ) -> httpx2.AsyncClient:
        """Open an asynchronous client of this service through the edge."""

    def logs(self, service: str) -> str:
        """Return what all processes of this service, or the edge, have logged."""

    def restarts(self) -> Mapping[str, int]:
        """Return for each process how often it was started again since the stack was started."""

    def prepare(self) -> None:
        """Make the places for keys and data, with the right owners, where they are missing."""

    def running(self) -> bool:
        """Say whether anything of it runs."""

    def errand(self, *arguments: str, stores: bool = False, terminal: bool = True) -> Errand:
        """Return how a command of the Secrets Manager is run beside its database.

        Args:
            arguments: the command, as `secrets_manager.admin` takes it.
            stores: every other service's database is within reach, and named to the command by `--store`.
            terminal: it may ask the person at the terminal; without, its pipes carry anything.
        """

    def follow_logs(self, services: Sequence[str] = ()) -> int:
        """Show the logs until interrupted; return the exit status."""
