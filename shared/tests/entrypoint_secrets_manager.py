"""A secrets manager that a starting service fetches its secrets from, and that counts who holds them."""

import json
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fountain_common.fakes.tokens import TokenMaker


def certificate(folder: Path) -> Path:
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
        context.load_cert_chain(certificate(folder))
        self.holders: set[str] = set()
        self.asked = 0
        self.answer = threading.Event()
        self.answer.set()
        self.gives_keys, self._tokens = True, TokenMaker()
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
                    document = manager.well_known().get(self.path)
                    self.say(404 if document is None else 200, document or {})

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
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def well_known(self) -> dict[str, object]:
        """What tokens are judged by, by path."""
        if not self.gives_keys:
            return {}
        revocations = {"issued_at": time.time(), "revocations": []}
        return {"/.well-known/jwks.json": self._tokens.jwks(), "/.well-known/revocations": revocations}

    def stop(self) -> None:
        self.answer.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()
