"""The ports of a stack on this machine: the usual ones, those from the environment, or free ones."""

import errno
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fountain_common.ports import free_ports

from fountain_cli.stack.face import BadSetting
from fountain_cli.stack.layout import Service

DEFAULT_HTTP = 8080
DEFAULT_HTTPS = 8443
_PREFIX = "FOUNTAIN_PORT_"


@dataclass(frozen=True)
class Ports:
    """Where the edge and each service's first process listen."""

    http: int = DEFAULT_HTTP
    https: int = DEFAULT_HTTPS
    services: Mapping[str, int] = field(default_factory=dict)

    def of(self, service: Service) -> int:
        """Return the port of a service's first process."""
        return self.services.get(service.name, service.port)

    def everywhere(self, services: Iterable[Service]) -> dict[str, int]:
        """Return every port by what listens there."""
        return {"http": self.http, "https": self.https, **{s.name: self.of(s) for s in services}}

    @classmethod
    def of_mapping(cls, everywhere: Mapping[str, int]) -> "Ports":
        """Return what `everywhere` gave."""
        others = {name: port for name, port in everywhere.items() if name not in ("http", "https")}
        return cls(everywhere["http"], everywhere["https"], others)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Ports":
        """Read `FOUNTAIN_HTTP_PORT`, `FOUNTAIN_HTTPS_PORT` and `FOUNTAIN_PORT_GATEWAY_LOOKUP` ...

        Raises:
            BadSetting: one of them is not a port.
        """

        def port(name: str, default: int) -> int:
            raw = environment.get(name) or str(default)
            if not raw.isdecimal() or not 1 <= int(raw) <= 65535:
                raise BadSetting(f"{name} must be a port between 1 and 65535.")
            return int(raw)

        return cls(
            http=port("FOUNTAIN_HTTP_PORT", DEFAULT_HTTP),
            https=port("FOUNTAIN_HTTPS_PORT", DEFAULT_HTTPS),
            services={
                name.removeprefix(_PREFIX).lower().replace("_", "-"): port(name, 0)
                for name in environment
                if name.startswith(_PREFIX)
            },
        )

    @classmethod
    def free(cls, services: Iterable[Service]) -> "Ports":
        """Choose free ports for the edge and these services, so that a stack runs beside others."""
        names = [service.name for service in services]
        http, https, *others = free_ports(2 + len(names))
        return cls(http, https, dict(zip(names, others, strict=True)))


def is_taken(port: int) -> bool:
    """Say whether another program listens on this port of the machine; also on one of root's."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except PermissionError:
            return probe.connect_ex(("127.0.0.1", port)) == 0
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def is_free(port: int) -> bool:
    """Say whether a process could listen on this port of loopback now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
