"""The trust root: a CA, and the certificate that the secrets manager serves TLS with.

The CA's key is sealed in the database. The leaf's key is made anew at every start and lives in memory alone.
"""

import os
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SERVER_NAME: Final = "secrets-manager"
CA_DAYS: Final = 3650
LEAF_DAYS: Final = 30
_RENEW_BEFORE: Final = timedelta(days=10)
_SKEW: Final = timedelta(minutes=5)  # for clients whose clocks are behind
_CA_SKEW: Final = timedelta(days=365)  # for a clock of our own that was ahead when all began


@dataclass(frozen=True, repr=False)
class Authority:
    """A CA: its certificate and key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def generate(cls, now: float) -> "Authority":
        """Make a CA that may sign leaves and nothing else, valid for ten years."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "FountainAI platform CA")])
        start = datetime.fromtimestamp(now, UTC)
        certificate = (
            _builder(name, name, key.public_key(), start, timedelta(days=CA_DAYS), _CA_SKEW)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key)

    @classmethod
    def load(cls, pem: str, key: bytes) -> "Authority":
        """Undo `pem` and `private_bytes`; ValueError if the key is not the certificate's."""
        certificate = x509.load_pem_x509_certificate(pem.encode())
        private = serialization.load_der_private_key(key, password=None)
        if (
            not isinstance(private, ec.EllipticCurvePrivateKey)
            or private.public_key() != certificate.public_key()
        ):
            raise ValueError("the CA's certificate in the database does not belong to its key")
        return cls(certificate, private)

    @property
    def pem(self) -> str:
        """The certificate: what clients trust."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def private_bytes(self) -> bytes:
        """Return the key in DER, for sealing."""
        return _der(self.key)

    def issue(self, now: float, name: str = SERVER_NAME) -> "Leaf":
        """Make a server certificate for this name alone, with a key of its own."""
        key = ec.generate_private_key(ec.SECP256R1())
        start = datetime.fromtimestamp(now, UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer_id = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        certificate = (
            _builder(subject, self.certificate.subject, key.public_key(), start, timedelta(days=LEAF_DAYS))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_id), critical=False
            )
            .sign(self.key, hashes.SHA256())
        )
        return Leaf(certificate, key)


@dataclass(frozen=True, repr=False)
class Leaf:
    """A server certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def is_due(self, now: float) -> bool:
        """Tell whether it is time for the next one: a third of its life before the end, or before its
        beginning, since the clock was ahead when it was made.
        """
        moment = datetime.fromtimestamp(now, UTC)
        ends, begins = self.certificate.not_valid_after_utc, self.certificate.not_valid_before_utc
        return moment >= ends - _RENEW_BEFORE or moment < begins

    def load_into(self, context: ssl.SSLContext) -> None:
        """Have the context serve it from the next handshake on; open connections stay.

        OpenSSL wants a path: it gets one into memory, so that the key never reaches a disk.
        """
        chain = self.certificate.public_bytes(serialization.Encoding.PEM)
        key = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        descriptor = os.memfd_create("leaf", os.MFD_CLOEXEC)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key + chain)
            file.flush()
            context.load_cert_chain(f"/proc/self/fd/{descriptor}")


def server_context() -> ssl.SSLContext:
    """Return a TLS server context without a certificate yet; TLS 1.2 at least."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    start: datetime,
    life: timedelta,
    skew: timedelta = _SKEW,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - skew)
        .not_valid_after(start + life)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _der(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
