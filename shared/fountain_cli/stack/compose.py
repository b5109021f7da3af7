"""The platform as containers, kept by Docker."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from fountain_cli.screen import say
from fountain_cli.stack import edge, environment
from fountain_cli.stack.containers import Containers
from fountain_cli.stack.face import Errand, Lost, StackError, Taken
from fountain_cli.stack.images import build_environment
from fountain_cli.stack.layout import Service, repository, services
from fountain_cli.stack.origin import Origin
from fountain_cli.stack.ports import Ports, is_taken
from fountain_cli.stack.project import Project, project_name
from fountain_cli.stack.state import State
from fountain_cli.stack.variables import TLS, variables
from fountain_cli.stack.waiting import wait_until

_START_SECONDS = 180
_PORTS = {"FOUNTAIN_HTTP_PORT": "80", "FOUNTAIN_HTTPS_PORT": "443"}
_CHOICES = ("FOUNTAIN_HTTP_PORT", "FOUNTAIN_HTTPS_PORT", "FOUNTAIN_NETWORK")
_OVERRIDE = "compose.override.yaml"


class ComposeStack(Containers):
    """A platform whose parts are containers of one Compose project.

    Args:
        project: the Compose project's name, of somebody who has one to himself. If not given, it is
            `COMPOSE_PROJECT_NAME` or `fountainai`, and that of another clone is left alone.
        http_port, https_port: where the edge listens on this machine; 80 and 443 if neither given nor set.
        network: the name of the network; `<project>-net` if neither given nor set.
        replicas: how many containers of a service, where that is not one.
        files: the Compose files; `compose.yaml` if not given. A project that is not somebody's own has
            `compose.override.yaml` too, where there is one, as with Compose itself.
        root: the repository; found if not given.
        settings: further variables for the Compose files.
        verbose: show what a build and a start print; else it is shown where they fail.
    """

    runtime = "docker"

    def __init__(
        self,
        project: str | None = None,
        *,
        http_port: int | None = None,
        https_port: int | None = None,
        network: str | None = None,
        replicas: Mapping[str, int] | None = None,
        files: Sequence[str] = ("compose.yaml",),
        root: Path | None = None,
        settings: Mapping[str, str] | None = None,
        verbose: bool = True,
    ) -> None:
        self.root = root or repository()
        given = {**variables(self.root), **(settings or {})}
        chosen = {
            "FOUNTAIN_HTTP_PORT": http_port and str(http_port),
            "FOUNTAIN_HTTPS_PORT": https_port and str(https_port),
            "FOUNTAIN_NETWORK": network,
        }
        given |= {name: value for name, value in chosen.items() if value}
        self._shared = project is None
        own = [_OVERRIDE] if self._shared and (self.root / _OVERRIDE).is_file() else []
        docker = Project(project or project_name(self.root), self.root, (*files, *own), given)
        super().__init__(docker, State.from_environment(given, self.root))
        self._origin = Origin(self.project, self.root, self.root / ".fountain" / "clone")
        self._verbose, self._replicas = verbose, dict(replicas or {})
        self.agreed = False  # that what runs is taken over from a clone that is not seen from here

    # Whose it is

    def require_own(self) -> str | None:
        """Say of which clone it was, if that cannot be seen from here; raise Foreign for another's."""
        return self._origin.require_own() if self._shared else None

    def require_agreed(self) -> str | None:
        """The same, and raise Lost if it runs and nobody has agreed: what runs may be another machine's."""
        whose = self.require_own()
        if whose and not self.agreed and self.running():
            raise Lost(self.project, whose)
        return whose

    def _take_over(self) -> str | None:
        """Return if the project is this clone's from now on; say so if it was another's."""
        if whose := self.require_agreed():
            say(f"Going on with the keys and data of {whose}.")
        return whose

    def _claim(self) -> None:
        if self._shared:
            self._origin.claim()

    # Starting and stopping

    @property
    def services(self) -> list[Service]:
        """The services of this repository."""
        return services(self.root)

    def _name_images(self) -> None:
        given = self._docker.environment
        given |= build_environment(self.root, self.state, given, verbose=self._verbose)

    def build(self) -> None:
        """Build the images; where no registry answers, the base images are made here first."""
        self._name_images()
        self._docker.build_or_start("build", verbose=self._verbose)

    def check_start(self) -> None:
        """Return if nothing that can be told beforehand forbids the start."""
        environment.refuse_secrets(self.root, {})  # containers get what is in `.env`, not what is set here
        self._check_tls()
        self.require_own()
        self._refuse_taken_ports()

    def _refuse_taken_ports(self) -> None:
        if not os.environ.get("DOCKER_HOST", "unix://").startswith("unix://") or self.running():
            return  # the ports are of another machine, or perhaps taken by this very platform
        ports = Ports.from_environment(
            {name: self._given.get(name) or usual for name, usual in _PORTS.items()}
        )
        if taken := [str(port) for port in (ports.http, ports.https) if is_taken(port)]:
            raise Taken(
                f"Another program listens on {' and '.join(taken)}. Stop it, or choose other ports with "
                f"{' and '.join(_PORTS)}."
            )

    def start(self) -> None:
        """Build what changed, start everything and wait until all of it is healthy."""
        self.check_start()
        gone = self._take_over()
        self._claim()
        self._name_images()
        scaled = [word for name, count in self._replicas.items() for word in ("--scale", f"{name}={count}")]
        try:
            self._docker.build_or_start(
                "up",
                "--build",
                "--detach",
                "--wait",
                "--wait-timeout",
                str(_START_SECONDS),
                *(["--force-recreate"] if gone else []),  # containers go on naming the folder otherwise
                *scaled,
                verbose=self._verbose,
            )
        except StackError as error:
            raise StackError(f"{error}\n{self._unwell()}") from None
        chosen = {name: value for name in _CHOICES if (value := self._given.get(name))}
        # Also what is as usual: what a later command's environment says is not what runs.
        self.state.remember(self.project, {**chosen, "FOUNTAIN_DOMAIN": self.domain, TLS: self.tls})
        if not wait_until(lambda: edge.has_certificates(self.domain, self.https_port, self.ca), 30):
            raise StackError(f"The edge shows no certificate for {self.url()} to this machine.")

    def _unwell(self) -> str:
        """Return the last lines of every container that is not healthy."""
        names = [name for name in self._docker.configuration()["services"] if not self._healthy(name)]
        return "\n".join(f"{name} is not healthy. Its log ends with:\n{self._tail(name)}" for name in names)

    def stop(self, *, remove: bool = False) -> None:
        """Stop everything; `remove` forgets all keys and data as well."""
        if remove:
            self.require_own()
        else:
            self._take_over()
        # Prometheus, if it was started, has volumes that are declared elsewhere.
        also = ["-f", str(self.root / "compose.observability.yaml")] if remove else []
        self._docker.run(*also, "down", "--remove-orphans", *(["--volumes"] if remove else []), quiet=False)
        self.state.forget(self.project)
        if not remove:
            self._claim()  # with the containers goes what they say of it
        else:
            self._origin.renounce()
            self.state.drop(f"{self.project}-edge-ca.crt")
            self._cached_ca = None  # it went with its volume; the next edge makes another

    def scale(self, service: str, replicas: int) -> None:
        """Run so many containers of one service, and wait until they are healthy."""
        self._replicas[service] = replicas
        self._docker.run(
            "up",
            "--detach",
            "--wait",
            "--no-recreate",
            "--no-deps",
            "--scale",
            f"{service}={replicas}",
            service,
        )

    def prepare(self) -> None:
        """Make the containers without starting them: a volume takes its owner from their images."""
        self._take_over()
        self._claim()
        self._name_images()
        self._docker.run("create", "--no-recreate")

    def errand(self, *arguments: str, stores: bool = False, terminal: bool = True) -> Errand:
        """Return how a command of the Secrets Manager is run beside its database, in a container."""
        self._take_over()
        options = ["--rm", "--no-deps", *([] if terminal else ["-T"])]
        named = []
        for service, volume in self._data_volumes().items() if stores else ():
            # Not read-only: who reads a database in WAL mode shares memory with its writers.
            options += ["--volume", f"{volume}:/stores/{service.name}"]
            named.append(f"--store={service.name}=/stores/{service.name}/{service.store}")
        program = ["python", "-m", "secrets_manager.admin", *arguments, *named]
        command = self._docker.command("--progress", "quiet", "run", *options, "secrets-manager", *program)
        return Errand(tuple(command), self.root, self._docker.environment)

    def _data_volumes(self) -> dict[Service, str]:
        """Return the volume with the data of every service but the Secrets Manager that keeps any."""
        configured = self._docker.configuration()
        return {
            service: configured["volumes"][volume["source"]]["name"]
            for service in services(self.root)
            if service.name != "secrets-manager"
            for volume in configured["services"].get(service.name, {}).get("volumes", ())
            if volume["type"] == "volume" and volume["target"] == "/data"
        }
