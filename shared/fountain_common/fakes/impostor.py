"""Somebody who answers in the Secrets Manager's place, on a real socket; for tests.

He keeps every byte that reaches him: what came over the wire, and what he could read of it.
"""

import socket
import ssl
import tempfile
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_ANSWER = b'{"access_token": "from-an-impostor", "token_type": "Bearer", "expires_in": 900}'
_RESPONSE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(_ANSWER), _ANSWER)
)
_CHUNK = 65536
_IDLE_SECONDS = 5.0


class Impostor:
    """Listens while it is entered.

    Args:
        name: the name that his certificate is for, made by himself; None speaks plain HTTP.
        port: where on 127.0.0.1; 0 takes a free one.

    Attributes:
        wire: every byte that he received.
        heard: what he could read of them: of TLS, what came out of the encryption.
        callers: how many connections were made.
        certificate: his own, PEM: for a client that believes him.
    """

    def __init__(self, name: str | None = "secrets-manager", port: int = 0) -> None:
        self.wire, self.heard, self.callers = bytearray(), bytearray(), 0
        self.certificate = ""
        self._context = self._certified(name) if name is not None else None
        self._port = port
        self._listener: socket.socket | None = None

    @property
    def port(self) -> int:
        """Where he listens."""
        return self._port

    @property
    def url(self) -> str:
        """The address, by the scheme that he speaks."""
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", self._port))
        self._port = self._listener.getsockname()[1]
        threading.Thread(target=self._listen, args=[self._listener], daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._listener is not None:
            # Closing alone would leave the thread in accept, and the port taken.
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()

    def _listen(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                self.callers += 1
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(_IDLE_SECONDS)
        with connection, suppress(OSError):
            if self._context is None:
                while received := connection.recv(_CHUNK):
                    self.wire += received
                    self.heard += received
                    connection.sendall(_RESPONSE)
            else:
                self._serve_encrypted(connection, self._context)

    def _serve_encrypted(self, connection: socket.socket, context: ssl.SSLContext) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        encrypted = context.wrap_bio(incoming, outgoing, server_side=True)
        while received := connection.recv(_CHUNK):
            self.wire += received
            incoming.write(received)
            with suppress(ssl.SSLWantReadError):
                while plain := encrypted.read(_CHUNK):
                    self.heard += plain
                    encrypted.write(_RESPONSE)
            connection.sendall(outgoing.read())

    def _certified(self, name: str) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .sign(key, hashes.SHA256())
        )
        self.certificate = certificate.public_bytes(serialization.Encoding.PEM).decode()
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "both.pem"
            path.write_bytes(private + self.certificate.encode())
            context.load_cert_chain(path)
        return context


def pieces(key: str) -> list[bytes]:
    """Return what is looked for so that no part of an API key goes unseen: its id, and its secret bit by bit.

    Args:
        key: as it is written, `fnt_<key id>_<secret>`.
    """
    _, key_id, secret = key.split("_", 2)
    return [part.encode() for part in (key_id, *(secret[at : at + 6] for at in range(len(secret) - 5)))]
