"""Asks a service on this machine whether it is healthy: `python -IS probe.py URL [--ca FILE]`.

A container's health check runs this file every few seconds, so it imports nothing but what it needs, and it
is run as a file, since importing its package costs more than the question. It connects to loopback, whatever
host the URL names; that name is what a certificate must be for.

Exit status: 0 healthy, 1 an answer other than 200, 2 no answer.
"""

import socket
import sys

TIMEOUT_SECONDS = 4.0
_LOOPBACK = "127.0.0.1"


def parse(url: str) -> tuple[bool, str, int, str]:
    """Split `http[s]://name[:port]/path` into (tls, name, port, path)."""
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    name, _, port = authority.partition(":")
    tls = scheme == "https"
    return tls, name, int(port or (443 if tls else 80)), slash + path or "/"


def status(url: str, ca_file: str | None = None) -> int:
    """Return the HTTP status of a GET.

    Raises:
        OSError: nobody answers, or the certificate is not for that name under `ca_file`.
        ValueError: the answer is not HTTP.
    """
    tls, name, port, path = parse(url)
    connection: socket.socket = socket.create_connection((_LOOPBACK, port), timeout=TIMEOUT_SECONDS)
    with connection:
        if tls:
            import ssl  # only one service needs it

            context = ssl.create_default_context(cafile=ca_file)
            connection = context.wrap_socket(connection, server_hostname=name)
        with connection:
            connection.sendall(f"GET {path} HTTP/1.0\r\nHost: {name}\r\n\r\n".encode())
            line = connection.makefile("rb").readline(64)
    protocol, _, rest = line.partition(b" ")
    if not protocol.startswith(b"HTTP/"):
        raise ValueError("the answer is not HTTP")
    return int(rest[:3])


def main(arguments: list[str]) -> int:
    """Run the probe and return its exit status."""
    url = arguments[0]
    ca_file = arguments[2] if arguments[1:2] == ["--ca"] else None
    try:
        answer = status(url, ca_file)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"no answer: {error}\n")
        return 2
    if answer != 200:
        sys.stderr.write(f"status {answer}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
