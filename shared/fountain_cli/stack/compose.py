"""The platform as containers, kept by Docker."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx2

from fountain_cli.screen import say
from fountain_cli.stack import edge, environment
from fountain_cli.stack.face import Errand, Foreign, NoSuchService, StackError, Taken
from fountain_cli.stack.images import build_environment
from fountain_cli.stack.layout import DEFAULT_DOMAIN, EDGE, Service, repository, services
from fountain_cli.stack.origin import Origin
from fountain_cli.stack.ports import Ports, is_taken
from fountain_cli.stack.project import Project, project_name, signal_within
from fountain_cli.stack.state import State
from fountain_cli.stack.waiting import wait_until

_START_SECONDS = 180
_PORTS = {"FOUNTAIN_HTTP_PORT": "80", "FOUNTAIN_HTTPS_PORT": "443"}
_CHOICES = ("FOUNTAIN_HTTP_PORT", "FOUNTAIN_HTTPS_PORT", "FOUNTAIN_NETWORK", "FOUNTAIN_DOMAIN")
_ERASE_LINE = "\x1b[2K"
_EDGE_CA = "/data/caddy/pki/authorities/local/root.crt"


class ComposeStack:
    """A platform whose parts are containers of one Compose project.

    Args:
        project: the Compose project's name, of somebody who has one to himself. If not given, it is
            `COMPOSE_PROJECT_NAME` or `fountainai`, and that of another clone is left alone.
        http_port, https_port: where the edge listens on this machine; 80 and 443 if neither given nor set.
        network: the name of the network; `<project>-net` if neither given nor set.
        replicas: how many containers of a service, where that is not one.
        files: the Compose files; `compose.yaml` if not given.
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
        self._verbose = verbose
        self.root = root or repository()
        self.state = State.from_environment(os.environ, self.root)
        self._replicas = dict(replicas or {})
        chosen = {
            "FOUNTAIN_HTTP_PORT": http_port and str(http_port),
            "FOUNTAIN_HTTPS_PORT": https_port and str(https_port),
            "FOUNTAIN_NETWORK": network,
        }
        variables = {**os.environ, **(settings or {}), **{k: v for k, v in chosen.items() if v}}
        self.project = project or project_name(self.root)
        self._docker = Project(self.project, self.root, tuple(files), variables)
        self._origin = Origin(self.project, self.root)
        self._shared = project is None
        self._cached_ca: Path | None = None
        self.agreed = False  # that what runs is taken over from a clone that is not seen from here

    # Whose it is

    def require_own(self) -> Path | None:
        """Answer the folder of a clone that is no more, if it was its; raise Foreign for another's."""
        return self._origin.require_own() if self._shared else None

    def _take_over(self) -> Path | None:
        """Return if the project is this clone's, or was that of one that is no more; what runs may be
        another machine's, so that somebody has to agree.
        """
        if gone := self.require_own():
            if not self.agreed and self.running():
                raise Foreign(self.project, gone)
            say(f"Going on with the keys and data of the clone in {gone}, which is not there any more.")
        return gone

    # Starting and stopping

    @property
    def domain(self) -> str:
        """The platform's domain."""
        return self._variable("FOUNTAIN_DOMAIN", DEFAULT_DOMAIN)

    @property
    def services(self) -> list[Service]:
        """The services of this repository."""
        return services(self.root)

    @property
    def https_port(self) -> int:
        """Where the edge serves HTTPS on this machine."""
        return int(self._variable("FOUNTAIN_HTTPS_PORT", "443"))

    def _variable(self, name: str, default: str) -> str:
        """Answer a variable as Compose reads it: the environment, then `.env`."""
        from dotenv import dotenv_values

        return self._docker.environment.get(name) or dotenv_values(self.root / ".env").get(name) or default

    def _name_images(self) -> None:
        variables = self._docker.environment
        variables |= build_environment(self.root, self.state, variables, verbose=self._verbose)

    def build(self) -> None:
        """Build the images; where no registry answers, the base images are made here first."""
        self._name_images()
        self._docker.build_or_start("build", verbose=self._verbose)

    def check_start(self) -> None:
        """Return if nothing that can be told beforehand forbids the start."""
        environment.refuse_secrets(self.root, {})  # containers get what is in `.env`, not what is set here
        self.require_own()
        self._refuse_taken_ports()

    def _refuse_taken_ports(self) -> None:
        if not os.environ.get("DOCKER_HOST", "unix://").startswith("unix://") or self.running():
            return  # the ports are of another machine, or perhaps taken by this very platform
        ports = Ports.from_environment({name: self._variable(name, usual) for name, usual in _PORTS.items()})
        if taken := [str(port) for port in (ports.http, ports.https) if is_taken(port)]:
            raise Taken(
                f"Another program listens on {' and '.join(taken)}. Stop it, or choose other ports with "
                f"{' and '.join(_PORTS)}."
            )

    def start(self) -> None:
        """Build what changed, start everything and wait until all of it is healthy."""
        self.check_start()
        gone = self._take_over()
        self._origin.claim()
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
        chosen = {
            name: self._docker.environment[name] for name in _CHOICES if self._docker.environment.get(name)
        }
        chosen["FOUNTAIN_DOMAIN"] = self.domain  # what a later command's environment says is not what runs
        self.state.remember(self.project, chosen)
        if not wait_until(lambda: edge.has_certificates(self.domain, self.https_port, self.ca), 30):
            raise StackError(f"The edge shows no certificate for {self.url()} to this machine.")

    def _unwell(self) -> str:
        """Answer the last lines of every container that is not healthy."""
        names = [name for name in self._docker.configuration()["services"] if not self._healthy(name)]
        return "\n".join(f"{name} is not healthy. Its log ends with:\n{self._tail(name)}" for name in names)

    def _tail(self, service: str) -> str:
        return self._docker.run("logs", "--no-color", "--no-log-prefix", "-n", "15", service)

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
            self._origin.claim()  # with the containers goes what they say of it
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

    # Breaking and mending

    def kill(self, service: str, replica: int = 0) -> None:
        """Kill one container from within, as a crash would: `docker kill` would forbid the restart."""
        before = self._docker.containers(service)[replica]
        signal_within(before["Id"], "KILL")

        def died() -> bool:
            now = self._docker.containers(service)[replica]
            return bool(now["RestartCount"] > before["RestartCount"] or not now["State"]["Running"])

        if not wait_until(died, 15):
            raise StackError(f"The container of {service} did not die.")

    def halt(self, service: str, replica: int | None = None) -> None:
        """Stop one or all containers of a service in good order and leave them stopped."""
        self._docker.each("stop", service, replica)

    def resume(self, service: str, replica: int | None = None) -> None:
        """Start again what `halt` stopped, without waiting for it to be healthy."""
        self._docker.each("start", service, replica)

    def freeze(self, service: str, replica: int = 0) -> None:
        """Let one container stand still until `thaw`; by a signal, since not every engine can pause."""
        signal_within(self._docker.containers(service)[replica]["Id"], "STOP")

    def thaw(self, service: str, replica: int = 0) -> None:
        """Let a container go on."""
        signal_within(self._docker.containers(service)[replica]["Id"], "CONT")

    # Looking at it

    def wait_healthy(self, service: str | None = None, timeout: float = 60) -> None:
        """Wait until this service, or everything, is healthy."""
        for name in [service] if service else list(self._docker.configuration()["services"]):
            if not wait_until(lambda name=name: self._healthy(name), timeout):  # type: ignore[misc]
                tail = self._tail(name)
                raise StackError(f"{name} is not healthy after {timeout:.0f} s. Its log ends with:\n{tail}")

    def _healthy(self, service: str) -> bool:
        states = [one["State"] for one in self._docker.containers(service)]
        return all(
            state["Running"] and state.get("Health", {}).get("Status") == "healthy" for state in states
        )

    def running(self) -> bool:
        """Say whether any container of this project runs."""
        return bool(self._docker.run("ps", "--quiet").split())

    def replicas(self, service: str) -> int:
        """Answer how many containers of this service there are."""
        return len(self._docker.containers(service))

    def url(self, service: str = "") -> str:
        """Answer the URL of a service through the edge."""
        return edge.edge_url(service, self.domain, self.https_port)

    def address(self, service: str, replica: int = 0) -> str:
        """Answer the URL of one container itself, which can be reached from a Linux host."""
        networks = self._docker.containers(service)[replica]["NetworkSettings"]["Networks"]
        address = next(iter(networks.values()))["IPAddress"]
        return f"{'https' if service == 'secrets-manager' else 'http'}://{address}:8000"

    def host(self) -> str:
        """Answer the address at which the services reach this machine: the near end of their network."""
        networks = self._docker.containers(EDGE)[0]["NetworkSettings"]["Networks"]
        return str(next(iter(networks.values()))["Gateway"])

    def ca(self) -> Path:
        """Answer a file with the CA of the edge, read from its volume."""
        if self._cached_ca is None:
            pem = self._docker.run("exec", "-T", EDGE, "cat", _EDGE_CA)
            self._cached_ca = self.state.keep(f"{self.project}-edge-ca.crt", pem)
        return self._cached_ca

    def issuer_ca(self) -> str:
        """Answer the CA of the Secrets Manager's own certificate."""
        return self._docker.run("exec", "-T", "secrets-manager", "cat", "/trust/ca.pem")

    def admin_key(self) -> str:
        """Answer the API key of the first administrator, read from its volume."""
        return self._docker.run("exec", "-T", "secrets-manager", "cat", "/admin/api-key").strip()

    def client(self, service: str, *, timeout: float = 30) -> httpx2.Client:
        """Open a client of this service through the edge."""
        return edge.client(self.url(service), self.ca(), timeout=timeout)

    def async_client(
        self, service: str, *, timeout: float = 30, connections: int = 100
    ) -> httpx2.AsyncClient:
        """Open an asynchronous client of this service through the edge."""
        return edge.async_client(self.url(service), self.ca(), timeout=timeout, connections=connections)

    def logs(self, service: str) -> str:
        """Answer what all containers of this service have logged."""
        # Some versions of Compose begin each line with the sequence that erases one, even into a pipe.
        return self._docker.run("logs", "--no-color", "--no-log-prefix", service).replace(_ERASE_LINE, "")

    def restarts(self) -> Mapping[str, int]:
        """Answer for each container how often Docker started it again."""
        found = {}
        for service in self._docker.configuration()["services"]:
            for one in self._docker.containers(service):
                found[one["Name"].removeprefix("/")] = int(one["RestartCount"])
        return found

    def prepare(self) -> None:
        """Make the containers without starting them: a volume takes its owner from their images."""
        self._take_over()
        self._origin.claim()
        self._name_images()
        self._docker.run("create", "--no-recreate")

    def errand(self, *arguments: str, stores: bool = False, terminal: bool = True) -> Errand:
        """Answer how a command of the Secrets Manager is run beside its database, in a container."""
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
        """Answer the volume with the data of every service but the Secrets Manager that keeps any."""
        configured = self._docker.configuration()
        return {
            service: configured["volumes"][volume["source"]]["name"]
            for service in services(self.root)
            if service.name != "secrets-manager"
            for volume in configured["services"].get(service.name, {}).get("volumes", ())
            if volume["type"] == "volume" and volume["target"] == "/data"
        }

    def follow_logs(self, services: Sequence[str] = ()) -> int:
        """Show the logs until interrupted."""
        known = self._docker.configuration()["services"] if services else {}
        for name in services:
            if name not in known:
                raise NoSuchService(name, known)
        self._docker.run("logs", "--follow", "--tail", "20", *services, quiet=False)
        return 0
