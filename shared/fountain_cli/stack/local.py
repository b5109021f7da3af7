"""The platform as local processes, kept by supervisor."""

import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import httpx2
from fountain_common.ports import free_port

from fountain_cli.stack import edge, environment
from fountain_cli.stack.face import Errand, StackError, Taken
from fountain_cli.stack.front import Front
from fountain_cli.stack.layout import EDGE, repository, services
from fountain_cli.stack.leftovers import end_leftovers
from fountain_cli.stack.plan import Place, Plan, edge_program, service_programs
from fountain_cli.stack.ports import Ports, is_free
from fountain_cli.stack.starting import Start
from fountain_cli.stack.state import State
from fountain_cli.stack.supervisor import Program, Supervisor, configuration, socket_path
from fountain_cli.stack.variables import variables
from fountain_cli.stack.waiting import wait_until

_START_SECONDS = 90
_GRACE_SECONDS = 20
_ENDED = ("STOPPED", "EXITED", "FATAL")
_LOG_LINES = 15


class LocalStack(Front):
    """A platform whose parts are processes of this user, listening on loopback.

    Args:
        state_dir: the folder for keys, data and logs; `FOUNTAIN_STATE_DIR` or `.fountain` if not given.
        ports: where it listens; from the environment if not given. `Ports.free(...)` runs beside others.
        replicas: how many processes of a service, where that is not one.
        root: the repository; found if not given.
        settings: further `FOUNTAIN_*` settings for all services.
    """

    runtime = "local"

    def __init__(
        self,
        state_dir: Path | None = None,
        ports: Ports | None = None,
        replicas: Mapping[str, int] | None = None,
        *,
        root: Path | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.root = root or repository()
        self._given = {**variables(self.root), **(settings or {})}
        self.state = (
            State(state_dir.resolve()) if state_dir else State.from_environment(self._given, self.root)
        )
        self.services = services(self.root)
        self.ports = ports or Ports.from_environment(self._given)
        remembered = self.state.remembered(self.runtime)
        health = remembered.get("health_port")
        self._health_port = health if isinstance(health, int) else free_port()
        self._plan = Plan(self.services, self.ports, remembered.get("processes"))
        for service, count in (replicas or {}).items():
            self._plan.scale(service, count)

    @property
    def https_port(self) -> int:
        """Where the edge serves HTTPS on this machine."""
        return self.ports.https

    def _names(self, service: str) -> list[str]:
        return [EDGE] if service == EDGE else self._plan.names(service)

    # Starting and stopping

    def _programs(self) -> list[Program]:
        place = Place(self.root, self.state, self.services, self.ports, self.domain)
        inherited = environment.inherited(self._given)
        return [
            *service_programs(place, self._plan, inherited),
            edge_program(place, self._health_port, inherited),
        ]

    @property
    def _supervisor(self) -> Supervisor:
        return Supervisor(socket_path(self.state.run))

    def running(self) -> bool:
        """Say whether this stack's process manager is there."""
        return self._supervisor.answers()

    def check_start(self) -> None:
        """Return if nothing that can be told beforehand forbids the start."""
        environment.refuse_secrets(self.root, environment.inherited(self._given))
        self._check_tls()

    def start(self) -> None:
        """Start everything, or change what differs on a running stack, and wait until it is healthy."""
        self.check_start()
        self.state.make(self.services)
        start = Start(self.state, _START_SECONDS)
        written = configuration(self._programs(), run=self.state.run, socket=socket_path(self.state.run))
        path = self.state.run / "supervisord.conf"
        path.write_text(written)
        path.chmod(0o600)
        if self.running():
            self._apply()
        else:
            end_leftovers(self.state.folder)
            self._refuse_taken_ports()
            command = [sys.executable, "-m", "supervisor.supervisord", "--configuration", str(path)]
            subprocess.run(command, check=True, env=environment.inherited(os.environ), cwd=self.root)  # noqa: S603
        self.state.remember(
            self.runtime,
            {
                "domain": self.domain,
                "tls": self.tls,
                "ports": self.ports.everywhere(self.services),
                "processes": self._plan.processes,
                "health_port": self._health_port,
            },
        )
        for service in [*(one.name for one in self.services), EDGE]:
            # The edge exits until it finds the CA of the Secrets Manager: with it, that counts from then on.
            start.wait_for(self._names(service), partial(self._healthy, service), afresh=service == EDGE)

    def _apply(self) -> None:
        """Let a running manager follow the configuration: only what changed is stopped or started."""
        supervisor = self._supervisor
        [[added, changed, removed]] = supervisor.call("reloadConfig")
        for name in (*changed, *removed):
            supervisor.call("stopProcessGroup", name)
            supervisor.call("removeProcessGroup", name)
        for name in (*changed, *added):
            supervisor.call("addProcessGroup", name)

    def _refuse_taken_ports(self) -> None:
        taken = [
            f"{port} ({name})"
            for name, port in self.ports.everywhere(self.services).items()
            if not is_free(port)
        ]
        if taken:
            raise Taken(
                f"Another program listens on {', '.join(taken)}. Stop it, or choose other ports with "
                "FOUNTAIN_HTTP_PORT, FOUNTAIN_HTTPS_PORT and FOUNTAIN_PORT_<SERVICE>."
            )

    def stop(self, *, remove: bool = False) -> None:
        """Stop everything; `remove` forgets all keys and data as well."""
        if self.running():
            manager = int(self._supervisor.call("getPID"))
            for wave in self._waves():
                self._stop_together(wave)
            self._supervisor.call("shutdown")
            if not wait_until(lambda: not _alive(manager), 10):
                raise StackError(f"The process manager (pid {manager}) does not end; see {self.state.run}.")
        end_leftovers(self.state.folder)
        self.state.forget(self.runtime)
        if remove:
            for part in ("identities", "admin", "kek", "trust", "data", "logs", "run", EDGE):
                shutil.rmtree(self.state.folder / part, ignore_errors=True)

    def _waves(self) -> list[list[str]]:
        """Return what is stopped together: who says goodbye must still find whom it is said to."""
        last = ("secrets-manager", "gateway-lookup")
        late = ("notification",)
        first = [EDGE, *(one.name for one in self.services if one.name not in (*last, *late))]
        return [[name for service in wave for name in self._names(service)] for wave in (first, late, last)]

    def _stop_together(self, names: Sequence[str]) -> None:
        """Tell these processes to end, and wait until they have; the manager kills who takes too long."""
        processes = self._supervisor.processes()
        ending = {name for name in names if processes[name]["statename"] not in _ENDED}
        for name in ending:
            self._supervisor.tell_to_stop(name)

        def ended() -> bool:
            now = self._supervisor.processes()
            return all(now[name]["statename"] in _ENDED for name in ending)

        wait_until(ended, _GRACE_SECONDS + 10)

    def scale(self, service: str, replicas: int) -> None:
        """Run so many processes of one service, and wait until they are healthy."""
        self._plan.scale(service, replicas)
        self.start()

    # Breaking and mending

    def kill(self, service: str, replica: int = 0) -> None:
        """Kill one process at once; the manager starts it again."""
        if pid := self._signal(service, replica, signal.SIGKILL):
            wait_until(lambda: not _alive(pid), 10)

    def halt(self, service: str, replica: int | None = None) -> None:
        """Stop one or all processes of a service in good order and leave them stopped."""
        self._stop_together(self._chosen(service, replica))

    def resume(self, service: str, replica: int | None = None) -> None:
        """Start again what `halt` stopped, without waiting for it to be healthy."""
        for name in self._chosen(service, replica):
            if self._supervisor.processes()[name]["statename"] != "RUNNING":
                self._supervisor.call("startProcess", name, False)

    def _chosen(self, service: str, replica: int | None) -> list[str]:
        names = self._names(service)
        return names if replica is None else [names[replica]]

    def freeze(self, service: str, replica: int = 0) -> None:
        """Let one process stand still until `thaw`."""
        if not self._signal(service, replica, signal.SIGSTOP):
            raise StackError(f"A process of {service} could not be frozen: it does not run.")

    def thaw(self, service: str, replica: int = 0) -> None:
        """Let a process go on."""
        self._signal(service, replica, signal.SIGCONT)

    def _signal(self, service: str, replica: int, number: signal.Signals) -> int:
        """Send a signal to one process and return its pid; 0 if it does not run now."""
        pid = int(self._supervisor.processes()[self._names(service)[replica]]["pid"])
        if not pid:
            return 0
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return 0
        return pid

    # Looking at it

    def wait_healthy(self, service: str | None = None, timeout: float = 60) -> None:
        """Wait until this service, or everything, is healthy."""
        wanted = [service] if service else [*(one.name for one in self.services), EDGE]
        deadline = time.monotonic() + timeout
        for name in wanted:
            if not wait_until(lambda name=name: self._healthy(name), deadline - time.monotonic()):  # type: ignore[misc]
                lines = "\n".join(self.logs(name).splitlines()[-_LOG_LINES:])
                raise StackError(f"{name} is not healthy after {timeout:.0f} s. Its log ends with:\n{lines}")

    def _healthy(self, name: str) -> bool:
        if name == EDGE:
            ca = self.ca()
            return (
                (ca is None or ca.exists())
                and _answers(f"http://127.0.0.1:{self._health_port}/health")
                and edge.has_certificates(self.domain, self.ports.https, self.ca)
            )
        ca = self.state.folder / "trust" / "ca.pem" if self._plan.service(name).tls else None
        if ca is not None and not ca.exists():
            return False
        return all(
            _answers(f"{self.address(name, index)}/health", ca) for index in range(self.replicas(name))
        )

    def replicas(self, service: str) -> int:
        """Return how many processes of this service there are."""
        return len(self._names(service))

    def address(self, service: str, replica: int = 0) -> str:
        """Return the URL of one process itself, past the edge."""
        scheme = "https" if self._plan.service(service).tls else "http"
        return f"{scheme}://127.0.0.1:{self._plan.processes[service][replica]}"

    def host(self) -> str:
        """Return the address at which the services reach this machine."""
        return "127.0.0.1"

    def _own_ca(self) -> Path:
        return self.state.edge_ca

    def issuer_ca(self) -> str:
        """Return the CA of the Secrets Manager's own certificate."""
        return (self.state.folder / "trust" / "ca.pem").read_text()

    def admin_key(self) -> str:
        """Return the API key of the first administrator."""
        return (self.state.folder / "admin" / "api-key").read_text().strip()

    def logs(self, service: str) -> str:
        """Return what all processes of this service have logged."""
        paths = [self.state.logs / f"{name}.log" for name in self._names(service)]
        return "".join(path.read_text(errors="replace") for path in paths if path.exists())

    def restarts(self) -> Mapping[str, int]:
        """Return for each process how often it was started again since the stack was started."""
        log = (self.state.run / "supervisord.log").read_text(errors="replace")
        since_start = log.rpartition("supervisord started with pid")[2]
        return {
            name: max(0, since_start.count(f"spawned: '{name}' ") - 1)
            for name in self._supervisor.processes()
        }

    def prepare(self) -> None:
        """Make the folders for keys and data."""
        self.state.make(self.services)

    def errand(self, *arguments: str, stores: bool = False, terminal: bool = True) -> Errand:
        """Return how a command of the Secrets Manager is run beside its database."""
        del terminal
        [program] = [one for one in self._programs() if one.name == "secrets-manager"]
        named = [
            f"--store={one.name}={self.state.folder / 'data' / one.name / one.store}"
            for one in self.services
            if stores and one.name != "secrets-manager"
        ]
        path = f"{program.environment['PYTHONPATH']}:{program.directory}"
        return Errand(
            (sys.executable, "-m", "secrets_manager.admin", *arguments, *named),
            program.directory,
            {**program.environment, "PYTHONPATH": path},
        )

    def follow_logs(self, services: Sequence[str] = ()) -> int:
        """Show the logs until interrupted."""
        wanted = services or [*(one.name for one in self.services), EDGE]
        paths = [str(self.state.logs / f"{name}.log") for service in wanted for name in self._names(service)]
        return subprocess.run(["tail", "-n", "20", "-F", *paths], check=False).returncode  # noqa: S603, S607


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _answers(url: str, ca: Path | None = None) -> bool:
    """Say whether a GET of this URL on loopback is answered with 200."""
    try:
        context = ssl.create_default_context(cafile=ca) if ca else False
        extensions = {"sni_hostname": "secrets-manager"} if ca else {}
        with httpx2.Client(verify=context, timeout=2) as client:
            return client.get(url, extensions=extensions).status_code == 200
    except (OSError, httpx2.HTTPError):
        return False
