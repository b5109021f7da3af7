"""The one way to the Secrets Manager, over real TLS."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fountain_common.connections import Connections
from fountain_common.errors import TooManyRequests, Unauthenticated, Unavailable
from fountain_common.identity import Identity
from fountain_common.issuer import IssuerClient, Locate
from fountain_common.settings import ServiceSettings

KEY = "fnt_0123456789ab_" + "s" * 43


class Authority:
    """A certificate authority that makes server certificates."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        self.certificate = self._make(self._name, self._key, x509.BasicConstraints(ca=True, path_length=0))
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def _make(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *extensions: x509.ExtensionType
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        if any(isinstance(extension, x509.BasicConstraints) for extension in extensions):
            usage = {"key_cert_sign": True, "crl_sign": True, "digital_signature": True}
            others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
            both = ("encipher_only", "decipher_only")
            builder = builder.add_extension(
                x509.KeyUsage(**usage, **dict.fromkeys((*others, *both), False)), critical=True
            )
        return builder.sign(self._key, hashes.SHA256())

    def context(self, name: str = "secrets-manager") -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        leaf = self._make(subject, key, x509.SubjectAlternativeName([x509.DNSName(name)]))
        path = self._folder / f"{name}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + leaf.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


class Server:
    """Answers every request with the same answer and keeps what it received."""

    def __init__(self) -> None:
        self.received = b""
        self.status, self.body = 200, b'{"access_token": "t", "expires_in": 900}'
        self.url = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            length = re.search(rb"content-length: (\d+)", head.lower())
            self.received += head + await reader.readexactly(int(length[1]) if length else 0)
            size = len(self.body)
            answer = f"HTTP/1.1 {self.status} X\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
            writer.write(answer.encode() + self.body)
            await writer.drain()
        finally:
            writer.close()


@asynccontextmanager
async def serving(context: ssl.SSLContext | None) -> AsyncIterator[Server]:
    server = Server()
    listener = await asyncio.start_server(server.handle, "127.0.0.1", 0, ssl=context)
    port = listener.sockets[0].getsockname()[1]
    server.url = f"{'https' if context else 'http'}://127.0.0.1:{port}"
    try:
        yield server
    finally:
        listener.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def identity(tmp_path: Path, authority: Authority) -> Identity:
    folder = tmp_path / "identity"
    folder.mkdir()
    (folder / "api-key").write_text(KEY)
    (folder / "ca.pem").write_text(authority.pem)
    settings = ServiceSettings(_env_file=None, service_name="orders", identity_dir=folder)
    return Identity(settings, secrets_dir=tmp_path / "none")


def fixed_address(url: str) -> Locate:
    async def locate() -> str:
        return url

    return locate


def client_of(identity: Identity, locate: Callable[[], Awaitable[str]] | str) -> IssuerClient:
    return IssuerClient(identity, Connections(), fixed_address(locate) if isinstance(locate, str) else locate)


async def test_a_token_is_issued_by_whoever_verifies_for_the_name_at_any_address(
    identity: Identity, authority: Authority
) -> None:
    async with serving(authority.context()) as server:
        client = client_of(identity, server.url)
        assert await client.issue(KEY, "stories") == ("t", 900.0)
        assert b"resource=stories" in server.received
        assert b"client_id=orders" in server.received
        await client.close()


async def test_no_byte_of_a_key_goes_to_an_impostor_with_another_authority(
    identity: Identity, tmp_path: Path
) -> None:
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    async with serving(Authority(stranger).context()) as server:
        client = client_of(identity, server.url)
        with pytest.raises(Unavailable):
            await client.issue(KEY, None)
        with pytest.raises(Unavailable):
            await client.exchange(KEY)
        assert server.received == b""


async def test_no_byte_of_a_key_goes_to_another_service_of_our_own_authority(
    identity: Identity, authority: Authority
) -> None:
    async with serving(authority.context("stories")) as server:
        client = client_of(identity, server.url)
        with pytest.raises(Unavailable):
            await client.issue(KEY, None)
        assert server.received == b""


async def test_no_byte_of_a_key_goes_over_plain_http(identity: Identity) -> None:
    async with serving(None) as server:
        client = client_of(identity, server.url)
        with pytest.raises(Unavailable):
            await client.issue(KEY, None)
        assert server.received == b""


async def test_a_second_address_is_tried_when_the_first_does_not_answer(
    identity: Identity, authority: Authority
) -> None:
    failed: list[str] = []
    async with serving(authority.context()) as server:

        async def locate() -> str:
            return server.url if failed else "https://127.0.0.1:1"

        client = IssuerClient(identity, Connections(), locate, failed.append)
        assert await client.issue(KEY, None) == ("t", 900.0)
        assert failed == ["https://127.0.0.1:1"]


async def test_a_new_authority_is_read_when_the_old_one_verifies_nobody(
    identity: Identity, tmp_path: Path
) -> None:
    newer = tmp_path / "newer"
    newer.mkdir()
    authority = Authority(newer)
    async with serving(authority.context()) as server:
        client = client_of(identity, server.url)
        with pytest.raises(Unavailable):
            await client.issue(KEY, None)
        (tmp_path / "identity" / "ca.pem").write_text(authority.pem)
        assert await client.issue(KEY, None) == ("t", 900.0)


async def test_of_many_that_find_a_new_authority_one_makes_the_client_and_closes_the_one_before(
    identity: Identity, tmp_path: Path
) -> None:
    made: list[httpx2.AsyncClient] = []

    class Client(httpx2.AsyncClient):
        async def aclose(self) -> None:
            # As where connections are open.
            await asyncio.sleep(0)
            await super().aclose()

    class Noted(Connections):
        def client(self, verify: ssl.SSLContext | None = None) -> httpx2.AsyncClient:
            assert verify is not None
            made.append(Client(verify=verify))
            return made[-1]

    newer = tmp_path / "newer"
    newer.mkdir()
    client = IssuerClient(identity, Noted(), fixed_address("https://127.0.0.1:1"))
    before = await client._verified_client()
    (tmp_path / "identity" / "ca.pem").write_text(Authority(newer).pem)
    await identity.reread()
    answered = await asyncio.gather(*(client._verified_client() for _ in range(3)))
    assert made == [before, answered[0]]
    assert set(answered) == {answered[0]}
    assert before.is_closed
    await client.close()
    assert all(each.is_closed for each in made)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Unauthenticated),
        (401, Unauthenticated),
        (403, Unauthenticated),
        (429, TooManyRequests),
        (500, Unavailable),
    ],
)
async def test_a_refusal_and_an_outage_are_told_apart(
    identity: Identity, authority: Authority, status: int, kind: type[Exception]
) -> None:
    async with serving(authority.context()) as server:
        server.status, server.body = status, b'{"error": "invalid_grant"}'
        client = client_of(identity, server.url)
        with pytest.raises(kind):
            await client.issue(KEY, None)
        with pytest.raises(kind):
            await client.exchange("fnt_aaaaaaaaaaaa_" + "b" * 43)


async def test_our_own_refused_key_says_nothing_about_theirs(
    identity: Identity, authority: Authority
) -> None:
    async with serving(authority.context()) as server:
        server.status, server.body = 401, b'{"error": "invalid_client"}'
        with pytest.raises(Unavailable):
            await client_of(identity, server.url).exchange("fnt_aaaaaaaaaaaa_" + "b" * 43)


@pytest.mark.parametrize("through_edge", [True, False])
async def test_an_exchange_says_whether_the_key_came_through_the_edge(
    identity: Identity, authority: Authority, through_edge: bool
) -> None:
    async with serving(authority.context()) as server:
        await client_of(identity, server.url).exchange(
            "fnt_aaaaaaaaaaaa_" + "b" * 43, through_edge=through_edge
        )
        form = parse_qs(server.received.rpartition(b"\r\n\r\n")[2].decode())
        assert form.get("through_edge", []) == (["true"] if through_edge else [])


@pytest.mark.parametrize("client", ["203.0.113.7", "", "testclient"])
async def test_an_exchange_says_who_showed_the_key(
    identity: Identity, authority: Authority, client: str
) -> None:
    async with serving(authority.context()) as server:
        await client_of(identity, server.url).exchange("fnt_aaaaaaaaaaaa_" + "b" * 43, client=client)
        form = parse_qs(server.received.rpartition(b"\r\n\r\n")[2].decode())
        assert form.get("shown_from", []) == ([client] if client[:1].isdigit() else [])
