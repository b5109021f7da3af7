"""Which address an instance may have: the one that it connects from, and not every one
of those.

The gateway fetches from what is registered and Caddy proxies to it; an address that an instance could choose
would let it reach into places that only the gateway and Caddy can see.
"""

import ipaddress
import re
from urllib.parse import urlsplit

from fountain_common.errors import Conflict, Forbidden, Unprocessable
from fountain_common.names import PLATFORM, service_name
from fountain_common.requests import plain_address

EDGE_NAMES = ("caddy", "www", "localhost")
"""Labels that are no service's to take."""
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_][a-z0-9_-]{0,62})*", re.ASCII)


def instance_host(peer: str, port: int, *, local: bool, reserved_ports: frozenset[int]) -> str:
    """Return the address of an instance that connects from `peer` and says that it listens on `port`.

    Args:
        peer: the TCP peer's address; forwarding headers have no say.
        port: the port that the instance names.
        local: whether this is the local runtime, where everything is on loopback.
        reserved_ports: the edge's own.

    Raises:
        Forbidden: the address or the port is not one where a service can be.
    """
    host = plain_address(peer)
    if not host:
        raise Forbidden("Instances register over TCP, from the address where they listen.")
    address = ipaddress.ip_address(host)
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        raise Forbidden("Link-local, multicast and unspecified addresses cannot be registered.")
    if address.is_loopback and not local:
        raise Forbidden("A loopback address cannot be registered; it would be another machine's own.")
    if port in reserved_ports:
        raise Forbidden(f"Port {port} is the edge's. Listen on another one, usually 8000.")
    return host


def host_labels(service: str, raw: tuple[str, ...]) -> tuple[str, ...]:
    """Return the further subdomains that a service asks for, checked; its own name is left out.

    Raises:
        InvalidName: not a single label.
        Conflict: a name of the platform or of the edge.
    """
    labels = dict.fromkeys(service_name(label) for label in raw)
    for label in labels:
        if (label in PLATFORM and label != service) or label in EDGE_NAMES:
            raise Conflict(f"The subdomain {label} belongs to the platform.")
    return tuple(label for label in labels if label != service)


def static_place(url: str, *, edge_host: str, local: bool) -> str:
    """Return the one spelling of a URL where a service can be: `http(s)://host` or `http(s)://host:port`.

    Raises:
        Unprocessable, Forbidden: what is wrong with it.
    """
    try:
        parts = urlsplit(url)
        port, host = parts.port, (parts.hostname or "").rstrip(".")
    except ValueError:
        raise Unprocessable("The url cannot be read; it looks like http://host:port.") from None
    bare = parts.scheme in ("http", "https") and host and port != 0 and parts.path in ("", "/")
    # The parser leaves out line breaks and tabs in silence.
    spelt = url.isascii() and url.isprintable() and " " not in url
    if not bare or not spelt or parts.query or parts.fragment or parts.username or parts.password:
        raise Unprocessable("The url is http(s)://host:port, without path, query or credentials.")
    # The dot at the end is the root's and changes nothing; names below localhost are loopback (RFC 6761).
    if not local and (host in (edge_host, "caddy") or f".{host}".endswith(".localhost")):
        raise Forbidden("The edge and loopback cannot be a static entry.")
    # What ends in a number is an address, however short or in whatever base (WHATWG URL, section 3.5).
    last = host.rpartition(".")[2]
    if last.isdigit() or last.startswith("0x") or ":" in host:
        host = instance_host(host, port or 0, local=local, reserved_ports=frozenset({2019}))
    elif not _HOST.fullmatch(host):
        # The edge is told this host, and would read braces as a placeholder of its own.
        raise Unprocessable("The host is a name of letters, digits, hyphens and dots, or an address.")
    place = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{place}" + (f":{port}" if port else "")
