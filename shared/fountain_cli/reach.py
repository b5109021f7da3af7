"""Where a URL leads: to the platform, to this machine, or to anybody."""

import ipaddress

import httpx2

from fountain_cli.connection import remote_domain
from fountain_cli.stack import ComposeStack, LocalStack, edge


def through_edge(url: str, stack: ComposeStack | LocalStack | None) -> bool:
    """Whether this URL is of the platform's edge, which hides what is for the inside."""
    domain = stack.domain if stack else remote_domain()
    if domain is None:
        return False
    name, _, _ = domain.partition(":")  # one elsewhere may be named with its port
    return f".{httpx2.URL(url).host}".endswith(f".{name}")


def may_be_given_tokens(url: str, stack: ComposeStack | LocalStack | None) -> bool:
    """Whether what answers here belongs to the platform or to this machine, as far as its name tells.

    What leaves the machine goes over TLS: who listens on the way could use the token as well as anybody.
    """
    # Read by what sends the request: another reader might see another host in the same characters.
    parts = httpx2.URL(url)
    if _is_loopback(parts.host):
        return True
    return parts.scheme == "https" and through_edge(url, stack)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return edge.is_loopback_name(host)
