"""The way in, which both runtimes have alike: names and clients of services, through the edge."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

import httpx2

from fountain_cli.stack import edge
from fountain_cli.stack.layout import DEFAULT_DOMAIN
from fountain_cli.stack.variables import ACME, issuer_of_certificates, refuse_bad_tls


class Front(ABC):
    """The edge of a platform on this machine."""

    _given: Mapping[str, str]  # the variables that the platform is started with

    @property
    def domain(self) -> str:
        """The platform's domain."""
        return self._given.get("FOUNTAIN_DOMAIN") or DEFAULT_DOMAIN

    @property
    @abstractmethod
    def https_port(self) -> int:
        """Where the edge serves HTTPS on this machine."""

    @abstractmethod
    def _own_ca(self) -> Path:
        """Return the file with the edge's own authority."""

    @property
    def tls(self) -> str:
        """Who issues the edge's certificates: `local` or `acme`."""
        return issuer_of_certificates(self._given)

    def _check_tls(self) -> None:
        refuse_bad_tls(self._given, at_home=edge.is_loopback_name(self.domain))

    def ca(self) -> Path | None:
        """Return a file with the CA of the edge; None where a public authority issues its certificates."""
        return None if self.tls == ACME else self._own_ca()

    def url(self, service: str = "") -> str:
        """Return the URL of a service through the edge."""
        return edge.edge_url(service, self.domain, self.https_port)

    def client(self, service: str, *, timeout: float = 30) -> httpx2.Client:
        """Open a client of this service through the edge."""
        return edge.client(self.url(service), self.ca(), timeout=timeout)

    def async_client(
        self, service: str, *, timeout: float = 30, connections: int = 100
    ) -> httpx2.AsyncClient:
        """Open an asynchronous client of this service through the edge."""
        return edge.async_client(self.url(service), self.ca(), timeout=timeout, connections=connections)
