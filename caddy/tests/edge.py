"""The edge as it is configured, on free ports, with a world of stubs behind it."""

import asyncio
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fountain_common.ports import free_port

CADDY_FOLDER = Path(__file__).parent.parent
CADDY = shutil.which("caddy", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
DOMAIN = "fountain.localhost"
SITES = {
    DOMAIN: "gateway",
    f"gateway-lookup.{DOMAIN}": "gateway",
    f"secrets-manager.{DOMAIN}": "secrets-manager",
    f"notification.{DOMAIN}": "notification",
    f"shop.{DOMAIN}": "shop",
}
"""Each name that leads somewhere, and the stub that it leads to."""


_LISTEN = "0A"  # as /proc writes the state of a socket


def until(condition: Callable[[], object], what: str, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(OSError, httpx2.HTTPError):
            if condition():
                return
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


@dataclass
class Seen:
    """What a stub was sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Stub:
    """A service behind the edge: remembers what it was sent, answers by `answer`."""

    name: str
    port: int = field(default_factory=free_port)
    tls: tuple[Path, Path] | None = None
    seen: list[Seen] = field(default_factory=list)
    answer: Callable[[Seen], tuple[int, dict[str, str], bytes]] = lambda seen: (200, {}, b"")
    released: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)
    _server: uvicorn.Server | None = None
    _thread: threading.Thread | None = None

    def start(self) -> "Stub":
        options = {"ssl_certfile": str(self.tls[0]), "ssl_keyfile": str(self.tls[1])} if self.tls else {}
        config = uvicorn.Config(
            self._app,
            host="127.0.0.1",
            port=self.port,
            log_level="error",
            lifespan="off",
            interface="asgi3",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=1,
            **options,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        until(lambda: self._server is not None and self._server.started, f"the stub {self.name} serves")
        return self

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(5)

    async def _app(
        self, scope: dict, receive: Callable[[], Awaitable[dict]], send: Callable[[dict], Awaitable[None]]
    ) -> None:
        if scope["type"] == "websocket":
            await self._echo(receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        query = scope["query_string"].decode()
        path = scope["raw_path"].decode() + (f"?{query}" if query else "")
        seen = Seen(scope["method"], path, headers, body)
        self.seen.append(seen)
        if scope["path"] == "/stream":
            await self._stream(receive, send)
            return
        status, extra, content = self.answer(seen)
        raw = [(name.lower().encode(), value.encode()) for name, value in extra.items()]
        raw.append((b"content-length", str(len(content)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": content})

    async def _stream(
        self, receive: Callable[[], Awaitable[dict]], send: Callable[[dict], Awaitable[None]]
    ) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"data: first\n\n", "more_body": True})
        leaving = asyncio.ensure_future(self._disconnect(receive))
        while not self.released.is_set() and not leaving.done():
            await asyncio.sleep(0.02)
        if leaving.done():
            self.left.set()
            return
        leaving.cancel()
        await send({"type": "http.response.body", "body": b"data: second\n\n"})

    @staticmethod
    async def _disconnect(receive: Callable[[], Awaitable[dict]]) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    @staticmethod
    async def _echo(receive: Callable[[], Awaitable[dict]], send: Callable[[dict], Awaitable[None]]) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": f"echo {message['text']}"})


class Dying:
    """Something that takes a request, reads all of it, and hangs up: a service that is killed just then."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection:
                    head, _, body = connection.recv(65536).partition(b"\r\n\r\n")
                    length = next(
                        (
                            int(line[15:])
                            for line in head.split(b"\r\n")
                            if line.lower().startswith(b"content-length:")
                        ),
                        0,
                    )
                    while len(body) < length:
                        body += connection.recv(65536)
                    self.requests.append(head + body)

    def stop(self) -> None:
        self._listener.close()


@dataclass
class Edge:
    """A running Caddy."""

    folder: Path
    http_port: int = field(default_factory=free_port)
    https_port: int = field(default_factory=free_port)
    public_https_port: int = 0
    health_port: int = field(default_factory=free_port)
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Edge":
        assert CADDY is not None
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "XDG_DATA_HOME": str(self.folder / "data"),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "FOUNTAIN_CADDY_BIND": "127.0.0.1",
            "FOUNTAIN_CADDY_HTTP_PORT": str(self.http_port),
            "FOUNTAIN_CADDY_HTTPS_PORT": str(self.https_port),
            "FOUNTAIN_PUBLIC_HTTPS_PORT": str(self.public_https_port or self.https_port),
            "FOUNTAIN_CADDY_HEALTH_PORT": str(self.health_port),
            **self.environment,
        }
        command = [CADDY, "run", "--config", str(CADDY_FOLDER / "Caddyfile"), "--adapter", "caddyfile"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        until(
            lambda: (
                httpx2.get(f"http://127.0.0.1:{self.health_port}/health", trust_env=False).status_code == 200
            ),
            "Caddy serves",
            20,
        )
        until(lambda: self.authority.exists(), "Caddy has its authority")
        return self

    def await_sites(self) -> None:
        """Wait until every named site has its certificate, whether anybody answers behind it or not."""
        for host in (
            DOMAIN,
            *(f"{name}.{DOMAIN}" for name in ("gateway-lookup", "secrets-manager", "notification")),
        ):
            until(lambda host=host: self.shakes_hands(host), f"there is a certificate for {host}")

    def shakes_hands(self, host: str) -> bool:
        """Whether a browser would get as far as sending a request to this host."""
        with (
            socket.create_connection(("127.0.0.1", self.https_port), timeout=20) as connection,
            self.context().wrap_socket(connection, server_hostname=host) as encrypted,
        ):
            return encrypted.version() is not None

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(15)

    def listening(self) -> set[int]:
        """Every TCP port at which it listens."""
        assert self.process is not None
        process = Path(f"/proc/{self.process.pid}")
        own = {file.readlink().name for file in (process / "fd").iterdir() if file.is_symlink()}
        found = set()
        for table in ("tcp", "tcp6"):
            for line in (process / "net" / table).read_text().splitlines()[1:]:
                _, local, _, state, *_, inode = line.split()[:10]
                if state == _LISTEN and f"socket:[{inode}]" in own:
                    found.add(int(local.rpartition(":")[2], 16))
        return found

    @property
    def authority(self) -> Path:
        return self.folder / "data" / "caddy" / "pki" / "authorities" / "local" / "root.crt"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def access_log(self) -> list[dict]:
        lines = [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("logger", "").startswith("http.log.access")]

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.authority))

    def request(self, method: str, host: str, target: str = "/", **options: object) -> httpx2.Response:
        """Send a request; the target goes out exactly as it is written."""
        headers = {"Host": f"{host}:{self.https_port}", **options.pop("headers", {})}  # type: ignore[dict-item]
        extensions = {"sni_hostname": host, "target": target.encode()}
        with httpx2.Client(verify=self.context(), trust_env=False, timeout=20) as client:
            return client.request(
                method,
                f"https://127.0.0.1:{self.https_port}/",
                headers=headers,
                extensions=extensions,
                **options,
            )

    def get(self, host: str, target: str = "/", **options: object) -> httpx2.Response:
        return self.request("GET", host, target, **options)


def make_authority(folder: Path) -> tuple[Path, Path]:
    """Make `ca.pem`, and a certificate with its key for `secrets-manager`; answers the latter two."""
    now = datetime.now(UTC)

    def certificate(
        name: str, key: ec.EllipticCurvePrivateKey, issuer: str, signer: ec.EllipticCurvePrivateKey, ca: bool
    ):
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        )
        return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    (folder / "ca.pem").write_bytes(certificate("test-ca", ca_key, "test-ca", ca_key, True))
    (folder / "leaf.pem").write_bytes(certificate("secrets-manager", key, "test-ca", ca_key, False))
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "leaf.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, *plain))
    return folder / "leaf.pem", folder / "leaf.key"
