"""Which local processes there are, and what each is told."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fountain_common.ports import free_ports

from fountain_cli.stack import environment
from fountain_cli.stack.face import NoSuchService, StackError
from fountain_cli.stack.layout import EDGE, Service, require_scalable
from fountain_cli.stack.ports import Ports
from fountain_cli.stack.state import State
from fountain_cli.stack.supervisor import Program


class Plan:
    """The processes of each service, by their ports; a service's first process has the service's own port.

    Args:
        services: all services of the stack.
        ports: the ports of the stack.
        remembered: `processes` of an earlier plan, so that replicas which run keep their ports.
    """

    def __init__(self, services: Sequence[Service], ports: Ports, remembered: object = None) -> None:
        self._services = {service.name: service for service in services}
        earlier = remembered if isinstance(remembered, dict) else {}
        self.processes: dict[str, list[int]] = {
            service.name: [ports.of(service), *(earlier.get(service.name) or [])[1:]] for service in services
        }

    def service(self, name: str) -> Service:
        """Return a service by its name.

        Raises:
            NoSuchService: there is none of that name.
        """
        if name not in self._services:
            raise NoSuchService(name, self._services)
        return self._services[name]

    def scale(self, name: str, count: int) -> None:
        """Plan so many processes of a service; those that there are keep their ports.

        Raises:
            NoSuchService, NotScalable: see `require_scalable`.
        """
        require_scalable(self._services.values(), name, count)
        now = self.processes[name]
        self.processes[name] = [*now, *free_ports(max(0, count - len(now)))][:count]

    def names(self, service: str) -> list[str]:
        """Return the names of a service's processes: `example-consumer`, `example-consumer-2` ..."""
        count = len(self.processes[self.service(service).name])
        return [service, *(f"{service}-{number}" for number in range(2, count + 1))][:count]


@dataclass(frozen=True)
class Place:
    """Where a stack is: its code, its state, its ports and its domain."""

    root: Path
    state: State
    services: Sequence[Service]
    ports: Ports
    domain: str


def service_programs(place: Place, plan: Plan, inherited: Mapping[str, str]) -> list[Program]:
    """Return the programs of all services; `inherited` is what they take over from whoever starts them."""
    programs = []
    for service in place.services:
        for name, port in zip(plan.names(service.name), plan.processes[service.name], strict=True):
            told = environment.of_service(
                service,
                port,
                services=place.services,
                ports=place.ports,
                root=place.root,
                state=place.state.folder,
                domain=place.domain,
            )
            programs.append(
                Program(
                    name=name,
                    command=(sys.executable, "entrypoint.py"),
                    directory=place.root / "services" / service.name,
                    environment={**inherited, **told, **_marker(place)},
                    log=place.state.logs / f"{name}.log",
                )
            )
    return programs


def edge_program(place: Place, health_port: int, inherited: Mapping[str, str]) -> Program:
    """Return the program of the edge, which says on `health_port` of loopback that it serves."""
    told = environment.of_edge(
        services=place.services,
        ports=place.ports,
        state=place.state.folder,
        domain=place.domain,
        health_port=health_port,
    )
    caddyfile = place.root / "caddy" / "Caddyfile"
    return Program(
        name=EDGE,
        command=(caddy(), "run", "--config", str(caddyfile), "--adapter", "caddyfile"),
        directory=place.state.folder / EDGE,
        environment={**inherited, **told, **_marker(place)},
        log=place.state.logs / f"{EDGE}.log",
    )


def _marker(place: Place) -> dict[str, str]:
    """By this, processes that outlived their manager are found (leftovers.py)."""
    return {"FOUNTAIN_STATE_DIR": str(place.state.folder)}


def caddy() -> str:
    """Return where the Caddy program is.

    Raises:
        StackError: it is nowhere.
    """
    beside = Path(sys.executable).parent / "caddy"
    found = str(beside) if beside.exists() else shutil.which("caddy")
    if not found:
        raise StackError("Caddy is missing: install requirements-dev.txt, or put caddy on the PATH.")
    return found
