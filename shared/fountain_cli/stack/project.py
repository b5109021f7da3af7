"""A Compose project, as Docker sees it: what Compose is told, and what is known of its containers."""

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fountain_cli.screen import say
from fountain_cli.stack.face import StackError
from fountain_cli.stack.variables import variables

DEFAULT_PROJECT = "fountainai"
_LAST_LINES = 15


def project_name(root: Path) -> str:
    """Return the project that is meant unless another is named: as Compose does, from `.env` too."""
    return variables(root).get("COMPOSE_PROJECT_NAME") or DEFAULT_PROJECT


class Project:
    """A project by its name.

    Args:
        name: its name.
        root: the repository.
        files: its Compose files.
        environment: the variables for them; who has it may add to it.
    """

    def __init__(self, name: str, root: Path, files: Sequence[str], environment: dict[str, str]) -> None:
        self.name, self.environment = name, environment
        self._root, self._files = root, files

    def command(self, *arguments: str) -> list[str]:
        """Return how `docker compose ...` is called for this project."""
        files = [word for name in self._files for word in ("-f", str(self._root / name))]
        return ["docker", "compose", "-p", self.name, *files, *arguments]

    def run(self, *arguments: str, quiet: bool = True) -> str:
        """Run `docker compose ...` for this project and return what it printed."""
        command = self.command(*arguments)
        done = subprocess.run(  # noqa: S603
            command, cwd=self._root, env=self.environment, check=False, text=True,
            stdout=subprocess.PIPE if quiet else None, stderr=subprocess.PIPE if quiet else None,
        )  # fmt: skip
        if done.returncode:
            raise StackError(
                f"`{' '.join(command[:2] + list(arguments[:2]))}` failed.\n{done.stderr or ''}".rstrip()
            )
        return done.stdout or ""

    def build_or_start(self, *arguments: str, verbose: bool) -> None:
        """Run what prints hundreds of lines, which are shown if asked for, and where it fails."""
        if verbose:
            self.run(*arguments, quiet=False)
            return
        command = self.command(*arguments)
        with tempfile.TemporaryFile() as printed:
            try:
                done = subprocess.run(  # noqa: S603
                    command, cwd=self._root, env=self.environment, check=False, stdout=printed, stderr=printed
                )
            except KeyboardInterrupt:
                # Who gives up waiting is shown what it was that took so long.
                printed.seek(0)
                say("\n".join(printed.read().decode(errors="replace").splitlines()[-_LAST_LINES:]))
                raise
            if done.returncode:
                printed.seek(0)
                said = printed.read().decode(errors="replace").rstrip()
                raise StackError(
                    f"{said}\n`docker compose {arguments[0]}` failed; what it said stands above."
                )

    def configuration(self) -> dict[str, Any]:
        """Return the Compose files as Compose reads them."""
        found: dict[str, Any] = json.loads(self.run("config", "--format", "json"))
        return found

    def containers(self, service: str) -> list[dict[str, Any]]:
        """Return what Docker knows of each container of a service, in the order of their numbers."""
        # By their labels, which is several times faster than to have Compose read its files.
        labels = {"project": self.name, "service": service, "oneoff": "False"}
        filters = [f"--filter=label=com.docker.compose.{name}={value}" for name, value in labels.items()]
        listed = subprocess.run(  # noqa: S603
            ["docker", "ps", "--all", "--quiet", *filters],  # noqa: S607
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        ids = listed.stdout.split()
        if not ids:
            raise StackError(
                f"No container of {service} exists in the project {self.name}: start it with make up."
            )
        done = subprocess.run(["docker", "inspect", *ids], check=True, capture_output=True, text=True)  # noqa: S603, S607
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return sorted(
            found, key=lambda one: int(one["Config"]["Labels"]["com.docker.compose.container-number"])
        )

    def each(self, verb: str, service: str, replica: int | None) -> None:
        """Do something to one or all containers of a service, as they are: none is made or removed."""
        found = self.containers(service)
        ids = [one["Id"] for one in (found if replica is None else [found[replica]])]
        done = subprocess.run(["docker", verb, *ids], check=False, capture_output=True, text=True)  # noqa: S603, S607
        if done.returncode:
            raise StackError(f"`docker {verb}` failed for {service}.\n{done.stderr}".rstrip())


def signal_within(container: str, signal: str) -> bool:
    """Send a signal to all processes of a container but its init; answers whether it runs and got it."""
    command = ["docker", "exec", container, "sh", "-c", f"kill -{signal} -1"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0  # noqa: S603
