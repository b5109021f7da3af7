"""Starting and stopping a service, as a process."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SHARED = Path(__file__).parents[1]
SETTINGS = """
from fountain_common.settings import ServiceSettings


class Settings(ServiceSettings):
    service_name: str = "orders"
"""
ENTRYPOINT = """
from own_settings import Settings
from fountain_common.entrypoint import run

if __name__ == "__main__":
    run(Settings, "{application}"{more})
"""
MAIN = """
import asyncio
from typing import Any
from fastapi.responses import StreamingResponse
from fountain_common.app import create_service
from fountain_common.auth import requires
from fountain_common.platform import create_platform
from fountain_common.settings import load
from own_settings import Settings


class Keys:
    async def jwks(self) -> dict[str, Any]:
        raise ConnectionError

    revocations = jwks


settings = load(Settings)
platform = create_platform(settings, identity=None, directory=None, events=None, registry=None, keys=Keys())
app = create_service(
    settings, title="Orders", description="Takes orders.", version="1.0.0", platform=platform,
    public_paths=("/slow", "/forever"), stream_paths=("/forever",),
)


@app.get("/slow", summary="Take a second")
async def slow() -> dict[str, str]:
    "Take a second."
    await asyncio.sleep(1)
    return {"instance": settings.instance_id}


@app.get("/forever", summary="Never end")
async def forever() -> StreamingResponse:
    "Never end."
    async def tick():
        while True:
            yield b"tick"
            await asyncio.sleep(0.1)
    return StreamingResponse(tick())
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """A service in a process of its own."""

    def __init__(
        self, folder: Path, more: str = "", application: str = "main:app", **environment: str
    ) -> None:
        (folder / "own_settings.py").write_text(SETTINGS)
        (folder / "main.py").write_text(MAIN)
        (folder / "entrypoint.py").write_text(ENTRYPOINT.format(more=more, application=application))
        self.port = free_port()
        settings = {
            "FOUNTAIN_HOST": "127.0.0.1",
            "FOUNTAIN_PORT": str(self.port),
            "FOUNTAIN_RUNTIME": "local",
            "FOUNTAIN_IDENTITY_DIR": str(folder / "identity"),
            "FOUNTAIN_DATA_DIR": str(folder),
            "FOUNTAIN_GATEWAY_URL": f"http://127.0.0.1:{free_port()}",
            "PYTHONPATH": str(SHARED),
            **environment,
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("FOUNTAIN_")}
        self.process = subprocess.Popen(
            [sys.executable, "entrypoint.py"],
            cwd=folder,
            env={**inherited, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.output = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.output.splitlines() if line.startswith("{")]

    def get(self, path: str, timeout: float = 5) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=timeout) as answer:
            return bytes(answer.read())

    def until(self, true: Callable[[], object], seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, self.output
            time.sleep(0.02)

    def until_healthy(self) -> None:
        def healthy() -> bool:
            try:
                return b"healthy" in self.get("/health")
            except OSError:
                return False

        self.until(healthy)

    def ended(self, seconds: float = 15) -> int:
        code = self.process.wait(seconds)
        self._reader.join(5)
        return code


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def begin(**options: str) -> Process:
        started.append(Process(tmp_path, **options))
        return started[-1]

    yield begin
    for one in started:
        one.process.kill()
        one.process.wait()


def test_a_service_that_needs_no_secrets_serves_and_stops_with_0(start: Callable[..., Process]) -> None:
    service = start(more=", secrets=False")
    service.until_healthy()
    service.process.send_signal(signal.SIGTERM)
    assert service.ended() == 0
    events = [line["event"] for line in service.lines]
    assert {"listening", "stopping"} <= set(events)
    assert len({line["instance"] for line in service.lines}) == 1


def test_a_request_that_is_being_answered_is_answered_before_the_end(start: Callable[..., Process]) -> None:
    service = start(more=", secrets=False")
    service.until_healthy()
    answers: list[bytes] = []
    client = threading.Thread(target=lambda: answers.append(service.get("/slow")))
    client.start()
    service.until(
        lambda: (
            b"in_progress" in service.get("/metrics")
            and b"http_requests_in_progress 2.0" in service.get("/metrics")
        )
    )
    service.process.send_signal(signal.SIGTERM)
    client.join(10)
    assert json.loads(answers[0])["instance"] == service.lines[0]["instance"]
    assert service.ended() == 0


def test_a_stream_that_never_ends_does_not_keep_it_from_ending(start: Callable[..., Process]) -> None:
    service = start(more=", secrets=False", FOUNTAIN_SHUTDOWN_GRACE_SECONDS="1")
    service.until_healthy()
    with urllib.request.urlopen(f"http://127.0.0.1:{service.port}/forever", timeout=5) as stream:
        assert stream.read(4) == b"tick"
        service.process.send_signal(signal.SIGTERM)
        assert service.ended(6) == 0


def test_without_a_secrets_manager_it_says_why_once_an_attempt_and_gives_up_with_69(
    start: Callable[..., Process], tmp_path: Path
) -> None:
    (tmp_path / "identity").mkdir()
    (tmp_path / "identity" / "api-key").write_text("fnt_0123456789ab_" + "s" * 43)
    service = start(FOUNTAIN_BOOT_DEADLINE_SECONDS="2")
    assert service.ended() == 69
    attempts = [line for line in service.lines if line["event"] == "secrets_not_fetched_yet"]
    assert [line["attempt"] for line in attempts] == list(range(1, len(attempts) + 1))
    assert len(attempts) >= 2
    last = service.lines[-1]
    assert (last["event"], last["level"]) == ("start_given_up", "critical")
    assert "not reachable" in last["reason"]
    assert "ssss" not in service.output


def test_without_an_identity_it_says_which_file_is_missing(start: Callable[..., Process]) -> None:
    service = start(FOUNTAIN_BOOT_DEADLINE_SECONDS="1")
    assert service.ended() == 69
    assert "is not reachable" in service.lines[-1]["reason"] or "api-key" in service.lines[-1]["reason"]


def test_a_taken_port_is_said_in_plain_words(start: Callable[..., Process]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        service = start(more=", secrets=False", FOUNTAIN_PORT=str(taken.getsockname()[1]))
        assert service.ended() == 69
    assert service.lines[-1]["event"] == "cannot_listen"


def test_wrong_settings_end_it_with_78(start: Callable[..., Process]) -> None:
    service = start(FOUNTAIN_PORT="many")
    assert service.ended() == 78
    assert "FOUNTAIN_PORT" in service.output


def test_it_fetches_its_secrets_from_nobody_who_cannot_prove_to_be_the_secrets_manager(
    start: Callable[..., Process], tmp_path: Path
) -> None:
    received: list[str] = []

    class Impostor(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            received.append(f"{self.path} {self.headers}")
            body = json.dumps(
                {
                    "service_name": "secrets-manager",
                    "url": f"http://127.0.0.1:{server.server_port}",
                    "instances": [],
                }
            ).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the name that the base class looks for

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Impostor)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (tmp_path / "identity").mkdir()
    (tmp_path / "identity" / "api-key").write_text("fnt_0123456789ab_" + "s" * 43)
    service = start(
        FOUNTAIN_BOOT_DEADLINE_SECONDS="1", FOUNTAIN_GATEWAY_URL=f"http://127.0.0.1:{server.server_port}"
    )
    assert service.ended() == 69
    server.shutdown()
    assert received
    assert all(line.startswith("/lookup/secrets-manager") for line in received)
    assert "ssss" not in "".join(received)


def _certificate(folder: Path) -> Path:
    """A certificate of the secrets manager's that is its own authority, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "secrets-manager")])
    now = datetime.now(UTC)
    uses = ("key_cert_sign", "crl_sign", "digital_signature")
    others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    only = ("encipher_only", "decipher_only")
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(**dict.fromkeys(uses, True), **dict.fromkeys((*others, *only), False)),
            critical=True,
        )
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("secrets-manager")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    (folder / "identity").mkdir()
    (folder / "identity" / "ca.pem").write_bytes(pem)
    (folder / "identity" / "api-key").write_text("fnt_0123456789ab_" + "s" * 43)
    both = folder / "server.pem"
    plain = serialization.NoEncryption()
    both.write_bytes(
        pem
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, plain)
    )
    return both


class SecretsManager:
    """A secrets manager in this process, over TLS, and the gateway that tells where it is."""

    def __init__(self, folder: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(_certificate(folder))
        self.holders: set[str] = set()
        self.asked = 0
        self.answer = threading.Event()
        self.answer.set()
        manager = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def say(self, status: int, body: object) -> None:
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_GET(self) -> None:
                if self.path.startswith("/lookup/secrets-manager"):
                    self.say(200, {"service_name": "secrets-manager", "url": manager.url, "instances": []})
                elif self.path == "/secrets/orders":
                    manager.holders.add(self.headers["X-Fountain-Instance"])
                    manager.asked += 1
                    manager.answer.wait(20)
                    versions = [{"version": 1, "state": "active", "secrets": {"K": "v"}}]
                    self.say(200, {"version": 1, "secrets": {"K": "v"}, "versions": versions, "epoch": "e"})
                else:
                    self.say(404, {})

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.say(200, {"access_token": "t", "expires_in": 900})

            def do_DELETE(self) -> None:
                manager.holders.discard(self.path.rpartition("/")[2])
                self.say(200, {})

            def log_message(self, *_: object) -> None:
                return

        self._servers = [ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2)]
        for server in self._servers:
            server.daemon_threads = True
        tls, plain = self._servers
        tls.socket = context.wrap_socket(tls.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{tls.server_port}"
        self.gateway_url = f"http://127.0.0.1:{plain.server_port}"
        for server in self._servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.answer.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[SecretsManager]:
    manager = SecretsManager(tmp_path)
    yield manager
    manager.stop()


def test_an_application_that_cannot_be_imported_leaves_no_holder_behind(
    start: Callable[..., Process], manager: SecretsManager, tmp_path: Path
) -> None:
    (tmp_path / "broken.py").write_text("raise RuntimeError('no')")
    service = start(FOUNTAIN_GATEWAY_URL=manager.gateway_url, application="broken:app")
    assert service.ended() == 1
    assert (manager.asked, manager.holders) == (1, set())


def test_a_taken_port_leaves_no_holder_behind(start: Callable[..., Process], manager: SecretsManager) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        service = start(FOUNTAIN_GATEWAY_URL=manager.gateway_url, FOUNTAIN_PORT=port)
        assert service.ended() == 69
    assert (manager.asked, manager.holders) == (1, set())


def test_a_signal_during_the_fetch_ends_it_with_0_and_leaves_no_holder_behind(
    start: Callable[..., Process], manager: SecretsManager
) -> None:
    manager.answer.clear()
    service = start(FOUNTAIN_GATEWAY_URL=manager.gateway_url)
    service.until(lambda: manager.holders)
    service.process.send_signal(signal.SIGTERM)
    assert service.ended() == 0
    assert manager.holders == set()


def test_a_fetch_without_an_answer_leaves_no_holder_behind(
    start: Callable[..., Process], manager: SecretsManager
) -> None:
    manager.answer.clear()
    service = start(FOUNTAIN_GATEWAY_URL=manager.gateway_url, FOUNTAIN_BOOT_DEADLINE_SECONDS="2")
    assert service.ended() == 69
    assert manager.asked
    assert manager.holders == set()
