"""HTTP clients of a service, made in one place, so that a test can put a world of its own behind all of
them.
"""

import ssl

import httpx2

TIMEOUT = httpx2.Timeout(5.0, connect=2.0)
_LIMITS = httpx2.Limits(max_connections=200, max_keepalive_connections=50, keepalive_expiry=20.0)


class Connections:
    """Makes HTTP clients.

    Proxies of the environment are not used, since peers are inside; redirects are not followed, since
    credentials go only where they were meant to.

    Attributes:
        transport: what carries the requests of every client made from now on; None is the network.
    """

    def __init__(self, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self.transport = transport

    def client(self, verify: ssl.SSLContext | None = None) -> httpx2.AsyncClient:
        """Return a new client; the caller closes it.

        Args:
            verify: what certificates are verified against; None for clients that speak plain HTTP inside.
        """
        return httpx2.AsyncClient(
            transport=self.transport,
            verify=verify if verify is not None else _nothing_is_trusted(),
            timeout=TIMEOUT,
            limits=_LIMITS,
            trust_env=False,
            follow_redirects=False,
        )


def _nothing_is_trusted() -> ssl.SSLContext:
    # Loading the system's certificates costs 20 ms and 5 MB, and inside nobody has one of those.
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
