"""Clients of services through the edge.

`*.localhost` resolves in browsers and in curl, but not in Python: the connection goes to loopback while
`Host` and the TLS server name are the service's.
"""

import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import httpx2
from fountain_common.names import PLATFORM

_LOOPBACK = "127.0.0.1"


def edge_url(service: str, domain: str, https_port: int) -> str:
    """Return the public URL of a service; the apex where no service is named."""
    host = f"{service}.{domain}" if service else domain
    return f"https://{host}" if https_port == 443 else f"https://{host}:{https_port}"


def is_loopback_name(host: str) -> bool:
    """Say whether this name means this machine (RFC 6761, section 6.3)."""
    return host == "localhost" or host.endswith(".localhost")


def context(ca: Path | None) -> ssl.SSLContext:
    """Return a TLS context that trusts the machine's CAs, and this one."""
    trusted = ssl.create_default_context()
    if ca is not None:
        trusted.load_verify_locations(ca)
    return trusted


def has_certificates(domain: str, https_port: int, ca: Callable[[], Path | None]) -> bool:
    """Say whether the edge shows a certificate for every name of the platform at home.

    It obtains them in the background, so that it answers for a moment before it has all of them. Those of a
    public domain come from outside, and nobody here waits for them.
    """
    if not is_loopback_name(domain):
        return True
    trusted = context(ca())
    try:
        for host in (domain, *(f"{service}.{domain}" for service in PLATFORM)):
            with (
                socket.create_connection((_LOOPBACK, https_port), timeout=2) as connection,
                trusted.wrap_socket(connection, server_hostname=host),
            ):
                pass
    except OSError:
        return False
    return True


class _ToLoopback:
    """Sends the requests for `*.localhost` to loopback, with the name kept for Host and TLS."""

    def redirect(self, request: httpx2.Request) -> httpx2.Request:
        """Return the request as it must be connected."""
        host = request.url.host
        if is_loopback_name(host):
            request.extensions = {**request.extensions, "sni_hostname": host}
            request.url = request.url.copy_with(host=_LOOPBACK)
        return request


class EdgeTransport(httpx2.HTTPTransport, _ToLoopback):
    """A transport for one name: connections are kept by address, so that two names must not share it."""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request."""
        return super().handle_request(self.redirect(request))


class AsyncEdgeTransport(httpx2.AsyncHTTPTransport, _ToLoopback):
    """The same for asynchronous clients."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request."""
        return await super().handle_async_request(self.redirect(request))


def client(url: str, ca: Path | None, *, timeout: float = 30) -> httpx2.Client:
    """Open a client of the service at this URL."""
    return httpx2.Client(base_url=url, transport=EdgeTransport(verify=context(ca)), timeout=timeout)


def async_client(
    url: str, ca: Path | None, *, timeout: float = 30, connections: int = 100
) -> httpx2.AsyncClient:
    """Open an asynchronous client of the service at this URL."""
    limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
    transport = AsyncEdgeTransport(verify=context(ca), limits=limits)
    return httpx2.AsyncClient(base_url=url, transport=transport, timeout=timeout)
