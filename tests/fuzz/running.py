"""The services of a running platform, asked through its edge, byte for byte.

It runs where there is no way out of this machine: whatever a service is told to call, it reaches nobody.
"""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path

import edge_answers
from fountain_cli.stack import LocalStack, Ports
from fountain_cli.stack.layout import repository, services
from furniture import Maker, powerless
from stands import LOST, Stand
from wire import SECONDS, Answer, Request

ISSUER = "secrets-manager"
LAST = ("gateway-lookup", ISSUER)
"""Who may do everything there leads the edge elsewhere, or revokes whom the others need."""
MOST_BYTES = 1_048_576
"""The edge passes on no longer body."""


class Platform:
    """A running platform, and who calls it.

    Args:
        stack: where it is.
    """

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        self.clients = {one.name: stack.client(one.name) for one in stack.services}
        self._keys = {"admin": stack.admin_key()}
        self.renew_powerless()

    def renew_powerless(self) -> None:
        """Make somebody who may nothing if there is nobody, or his key was taken away."""
        if "powerless" in self._keys and self.token("powerless", ISSUER) != LOST:
            return
        client, headers = self.clients[ISSUER], {"Authorization": f"Bearer {self.token('admin', ISSUER)}"}
        maker = Maker(lambda method, path, body: client.request(method, path, json=body, headers=headers))
        self._keys["powerless"] = powerless(maker)

    def token(self, caller: str, service: str) -> str:
        """Return a token of a caller for a service; one that is good nowhere if his key was taken away."""
        form = {"grant_type": "client_credentials", "client_secret": self._keys[caller], "resource": service}
        answer = self.clients[ISSUER].post("/auth/token", data=form)
        return str(answer.json()["access_token"]) if answer.status_code == 200 else LOST


class RunningStand(Stand):
    """One of its services."""

    at_edge = True

    def __init__(self, name: str, platform: Platform) -> None:
        self._platform = platform
        super().__init__(name, platform.clients[name])

    def renew_powerless(self) -> None:
        """Make somebody who may nothing if there is nobody left."""
        self._platform.renew_powerless()

    def _token(self, caller: str) -> str:
        return self._platform.token(caller, self.name)

    def ask(self, request: Request) -> Answer:
        """Send a request as it is, on a connection of its own."""
        url = self.client.base_url
        context = ssl.create_default_context(cafile=self._platform.stack.ca())
        try:
            with (
                socket.create_connection(("127.0.0.1", url.port), timeout=SECONDS) as plain,
                context.wrap_socket(plain, server_hostname=url.host) as connection,
            ):
                connection.sendall(_bytes(request, f"{url.host}:{url.port}".encode()))
                return _answer(connection, request.method)
        except (OSError, HTTPException) as error:
            if hung_up_on(request, error):
                return Answer(413, by_edge=True)
            return Answer(raised=f"no answer came: {error!r}\n")


def hung_up_on(request: Request, error: Exception) -> bool:
    """Tell whether this is the edge, which hangs up on who goes on sending: he may not hear what it has said
    before. One that answers nothing and keeps the connection is none.
    """
    too_long = sum(map(len, request.chunks)) > MOST_BYTES
    return too_long and isinstance(error, ConnectionError | ssl.SSLEOFError)


def _bytes(request: Request, host: bytes) -> bytes:
    lines = [f"{request.method} {request.target} HTTP/1.1".encode("ascii"), b"Host: " + host]
    own = {name.lower() for name, _ in request.headers}
    lines += [name + b": " + value for name, value in request.headers if name.lower() != b"host"]
    if b"content-length" not in own:
        lines.append(b"Content-Length: %d" % sum(map(len, request.chunks)))
    if b"connection" not in own:
        lines.append(b"Connection: close")
    return b"\r\n".join([*lines, b"", b"".join(request.chunks)])


def _answer(connection: socket.socket, method: str) -> Answer:
    with HTTPResponse(connection, method=method) as read:
        read.begin()
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in read.getheaders()]
        answer = Answer(read.status, [(name.lower(), value) for name, value in headers])
        answer.streams = answer.header("content-type").startswith("text/event-stream")
        if not answer.streams:
            answer.body = read.read()
        answer.by_edge = edge_answers.says(answer)
        return answer


@contextmanager
def platform(folder: Path) -> Iterator[Platform]:
    """Start one; gone afterwards with all that it held."""
    stack = LocalStack(folder, Ports.free(services(repository())))
    try:
        stack.start()
        yield Platform(stack)
    finally:
        stack.stop(remove=True)
