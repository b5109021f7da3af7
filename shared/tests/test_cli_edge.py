"""Whether the edge shows a certificate for every name of the platform."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fountain_cli.stack.edge import has_certificates
from fountain_common.names import PLATFORM

DOMAIN = "home.localhost"
NAMES = [DOMAIN, *(f"{service}.{DOMAIN}" for service in PLATFORM)]


class Edge:
    """Shows a certificate for these names, and for no others."""

    def __init__(self, folder: Path) -> None:
        self.names = set(NAMES)
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a CA of its own")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName(list(map(x509.DNSName, NAMES))), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        private = folder / "key.pem"
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(self.ca, private)
        self._context.sni_callback = self._choose
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _choose(self, _connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> int | None:
        return None if name in self.names else ssl.ALERT_DESCRIPTION_INTERNAL_ERROR

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                with suppress(OSError), self._context.wrap_socket(connection, server_side=True) as secured:
                    secured.recv(1)

    def close(self) -> None:
        self._listening.close()


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    edge = Edge(tmp_path)
    yield edge
    edge.close()


def test_with_a_certificate_for_every_name_it_is_there(edge: Edge) -> None:
    assert has_certificates(DOMAIN, edge.port, lambda: edge.ca)


@pytest.mark.parametrize("missing", NAMES)
def test_one_that_it_has_not_obtained_yet_is_waited_for(edge: Edge, missing: str) -> None:
    edge.names.remove(missing)
    assert not has_certificates(DOMAIN, edge.port, lambda: edge.ca)


def test_where_nobody_listens_there_is_none(edge: Edge) -> None:
    edge.close()
    assert not has_certificates(DOMAIN, edge.port, lambda: edge.ca)


def test_those_of_a_public_domain_are_not_waited_for_and_no_ca_of_ours_is_asked_for() -> None:
    def no_ca() -> Path:
        raise AssertionError("there is none")

    assert has_certificates("fountain.coach", 443, no_ca)
