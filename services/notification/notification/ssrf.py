"""Where a webhook may go: https to a public address, so that nobody can make this service call what only it
can reach.

The rules are pure. Names are resolved once for each send, and the address that was judged is the one that is
connected to: a name which changes between the two changes nothing.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_URL_CHARACTERS = 2048
_NAME = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*\.?", re.ASCII
)
_METADATA = (ip_address("169.254.169.254"), ip_address("fd00:ec2::254"), ip_address("100.100.100.200"))
_SHARED = ip_network("100.64.0.0/10")
_NAT64 = ip_network("64:ff9b::/96")
# RFC 8215: whoever runs the translator decides where in it the IPv4 address stands.
_LOCAL_NAT64 = ip_network("64:ff9b:1::/48")
# RFC 2765: an IPv4 address behind a translator.
_TRANSLATED = ip_network("::ffff:0:0:0/96")


class Refused(Exception):
    """A webhook may not go there; says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """A callback URL, taken apart.

    Attributes:
        scheme: https, or http where it is allowed.
        host: as written, in lower case, without brackets.
        port: also when it is the scheme's own.
        path: with the query.
    """

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.scheme == "https" else 80) else f"{host}:{self.port}"

    def at(self, address: Address) -> str:
        """Return the URL with an address in the place of the name."""
        host = f"[{address}]" if isinstance(address, IPv6Address) else str(address)
        return f"{self.scheme}://{host}:{self.port}{self.path}"


def parse(url: str) -> Target:
    """Take a callback URL apart.

    Raises:
        Refused: it is none.
    """
    if len(url) > MAX_URL_CHARACTERS or not url.isascii() or re.search(r"[\s\\\x00-\x1f\x7f]", url):
        raise Refused("A callback URL has at most 2048 ASCII characters, without spaces and backslashes.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Refused("This is not a URL.") from None
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise Refused("A callback URL begins with https:// and a host.")
    if parts.username is not None or parts.password is not None:
        raise Refused("A callback URL carries no user and no password; the signature tells who sends.")
    if port == 0:
        raise Refused("There is no port 0.")
    host = parts.hostname.lower()
    if literal(host) is None and not _NAME.fullmatch(host):
        raise Refused("The host is neither a name nor an address.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port or (443 if parts.scheme == "https" else 80), path)


def literal(host: str) -> Address | None:
    """Return the address that a host is, in any spelling that some resolver understands; None if it is a
    name.

    IPv4 has one to four parts, each decimal, octal (`0177`) or hexadecimal (`0x7f`), the last filling what is
    left (inet_aton, POSIX).
    """
    if "%" in host:
        raise Refused("A scope of one machine has no place in a callback URL.")
    if ":" in host:
        try:
            return ip_address(host)
        except ValueError:
            raise Refused("This is not an IPv6 address.") from None
    parts = host.rstrip(".").split(".")
    if not all(re.fullmatch(r"0[xX][0-9a-fA-F]*|[0-9]+", part) for part in parts):
        return None
    numbers = [_number(part) for part in parts]
    last = numbers[-1]
    if len(parts) > 4 or any(number > 255 for number in numbers[:-1]) or last >= 256 ** (5 - len(parts)):
        raise Refused("This is not an IPv4 address.")
    value = last
    for place, number in enumerate(numbers[:-1]):
        value += number << (24 - 8 * place)
    return IPv4Address(value)


def _number(part: str) -> int:
    if part[:2] in ("0x", "0X"):
        return int(part[2:] or "0", 16)
    if len(part) > 1 and part[0] == "0":
        try:
            return int(part, 8)
        except ValueError:
            raise Refused("This is not an IPv4 address.") from None
    return int(part)


def plain(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for: mapped, compatible, translated,
    6to4, Teredo or NAT64; else itself.
    """
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64 or address in _TRANSLATED or 1 < int(address) < 2**32:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def reason_against(address: Address) -> str | None:
    """Return what kind of address this is if it is not public; None if it is."""
    address = plain(address)
    if address in _METADATA:
        return "a metadata address of a cloud"
    kinds = (
        (address.is_unspecified, "an unspecified address"),
        (address.is_loopback, "a loopback address"),
        (address.is_link_local, "a link-local address"),
        (address.is_multicast, "a multicast address"),
        (isinstance(address, IPv4Address) and address in _SHARED, "a shared address of a carrier"),
        (isinstance(address, IPv6Address) and address in _LOCAL_NAT64, "a local translator's address"),
        (address.is_private or getattr(address, "is_site_local", False), "a private address"),
        (address.is_reserved, "a reserved address"),
        (not address.is_global, "not a public address"),
    )
    return next((kind for found, kind in kinds if found), None)


def choose(target: Target, addresses: Iterable[Address], allowed: Iterable[Network]) -> Address:
    """Return the address to connect to.

    Every address of a name must be fit: which of them is taken must not be left to chance, or to whoever runs
    the name.

    Args:
        target: where the webhook is to go.
        addresses: what its host resolves to.
        allowed: networks that are fit although they are not public, and without https.

    Raises:
        Refused: says why.
    """
    found = list(addresses)
    networks = tuple(allowed)
    if not found:
        raise Refused(f"{target.host} has no address.")
    for address in found:
        if any(_within(address, network) or _within(plain(address), network) for network in networks):
            continue
        reason = reason_against(address)
        if reason is not None:
            raise Refused(
                f"{target.host} is {address}, {reason}; webhooks go to public addresses, "
                "or to those in FOUNTAIN_WEBHOOK_ALLOWED_NETWORKS."
            )
        if target.scheme != "https":
            raise Refused("A callback URL to a public address is https.")
    return found[0]


def _within(address: Address, network: Network) -> bool:
    return address.version == network.version and address in network
