"""Containers of one Compose project, broken, mended and looked at while they run."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from fountain_cli.stack.face import NoSuchService, StackError
from fountain_cli.stack.front import Front
from fountain_cli.stack.layout import EDGE
from fountain_cli.stack.project import Project, signal_within
from fountain_cli.stack.state import State
from fountain_cli.stack.waiting import wait_until

_ERASE_LINE = "\x1b[2K"
_EDGE_CA = "/data/caddy/pki/authorities/local/root.crt"


class Containers(Front):
    """A platform whose parts are containers.

    Args:
        docker: the Compose project.
        state: where what is read from volumes is kept.
    """

    def __init__(self, docker: Project, state: State) -> None:
        self._docker, self.state = docker, state
        self._given = docker.environment
        self._cached_ca: Path | None = None

    @property
    def project(self) -> str:
        """The Compose project's name."""
        return self._docker.name

    @property
    def https_port(self) -> int:
        """Where the edge serves HTTPS on this machine."""
        return int(self._given.get("FOUNTAIN_HTTPS_PORT") or 443)

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
        if not signal_within(self._docker.containers(service)[replica]["Id"], "STOP"):
            raise StackError(f"A container of {service} could not be frozen: it does not run.")

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
        # Of a container that somebody added without a check of its health, nothing more can be asked.
        return all(
            state["Running"] and state.get("Health", {"Status": "healthy"})["Status"] == "healthy"
            for state in states
        )

    def running(self) -> bool:
        """Say whether any container of this project runs."""
        return bool(self._docker.run("ps", "--quiet").split())

    def replicas(self, service: str) -> int:
        """Return how many containers of this service there are."""
        return len(self._docker.containers(service))

    def address(self, service: str, replica: int = 0) -> str:
        """Return the URL of one container itself, which can be reached from a Linux host."""
        networks = self._docker.containers(service)[replica]["NetworkSettings"]["Networks"]
        address = next(iter(networks.values()))["IPAddress"]
        return f"{'https' if service == 'secrets-manager' else 'http'}://{address}:8000"

    def host(self) -> str:
        """Return the address at which the services reach this machine: the near end of their network."""
        networks = self._docker.containers(EDGE)[0]["NetworkSettings"]["Networks"]
        return str(next(iter(networks.values()))["Gateway"])

    def _own_ca(self) -> Path:
        """It is read from the edge's volume."""
        if self._cached_ca is None:
            pem = self._docker.run("exec", "-T", EDGE, "cat", _EDGE_CA)
            self._cached_ca = self.state.keep(f"{self.project}-edge-ca.crt", pem)
        return self._cached_ca

    def issuer_ca(self) -> str:
        """Return the CA of the Secrets Manager's own certificate."""
        return self._docker.run("exec", "-T", "secrets-manager", "cat", "/trust/ca.pem")

    def admin_key(self) -> str:
        """Return the API key of the first administrator, read from its volume."""
        return self._docker.run("exec", "-T", "secrets-manager", "cat", "/admin/api-key").strip()

    def logs(self, service: str) -> str:
        """Return what all containers of this service have logged."""
        # Some versions of Compose begin each line with the sequence that erases one, even into a pipe.
        return self._docker.run("logs", "--no-color", "--no-log-prefix", service).replace(_ERASE_LINE, "")

    def restarts(self) -> Mapping[str, int]:
        """Return for each container how often Docker started it again."""
        found = {}
        for service in self._docker.configuration()["services"]:
            for one in self._docker.containers(service):
                found[one["Name"].removeprefix("/")] = int(one["RestartCount"])
        return found

    def _tail(self, service: str) -> str:
        return self._docker.run("logs", "--no-color", "--no-log-prefix", "-n", "15", service)

    def follow_logs(self, services: Sequence[str] = ()) -> int:
        """Show the logs until interrupted."""
        known = self._docker.configuration()["services"] if services else {}
        for name in services:
            if name not in known:
                raise NoSuchService(name, known)
        self._docker.run("logs", "--follow", "--tail", "20", *services, quiet=False)
        return 0
