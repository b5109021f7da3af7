"""Sending over TLS: to the address that was judged, with the certificate of the name."""

import asyncio
import datetime as dt
import ssl
from collections.abc import Awaitable, Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from notification.sender import Answer, Guard, NotSent, WebhookSender, default_tls

NAME = "hook.example"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A file with a self-signed certificate for `hook.example` and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "hook.pem"
    file.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return file


def send(certificate: Path, name: str) -> tuple[Answer | str, str]:
    """Send to a name that resolves to a receiver here; return what came of it, and the Host asked for."""

    async def run() -> tuple[Answer | str, str]:
        heard: list[str] = []

        async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            heard.extend(line[6:] for line in head.split("\r\n") if line.lower().startswith("host: "))
            writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
            await writer.drain()
            writer.close()

        async def resolve(_host: str) -> list[str]:
            return ["127.0.0.1"]

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server = await asyncio.start_server(receive, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        guard = Guard([ip_network("127.0.0.1/32")], resolve)
        trust = ssl.create_default_context(cafile=str(certificate))
        sender = WebhookSender(f"https://{name}:{port}/hook", guard, 5, trust)
        try:
            return await sender.send({}, b"{}"), heard[0].removesuffix(f":{port}")
        except NotSent as reason:
            return str(reason), ""
        finally:
            await sender.close()
            server.close()

    return asyncio.run(run())


def test_a_pinned_address_still_shows_the_certificate_of_the_name(certificate: Path) -> None:
    answer, host = send(certificate, NAME)
    assert isinstance(answer, Answer)
    assert (answer.status, host) == (204, NAME)


def test_a_certificate_for_another_name_is_refused(certificate: Path) -> None:
    reason, _ = send(certificate, "other.example")
    assert str(reason).startswith("The connection failed")


def _turning(*answers: list[str]) -> tuple[list[list[str]], Callable[[str], Awaitable[list[str]]]]:
    """Return a resolver whose answers change from one question to the next, and what was answered."""
    waiting, given = list(answers), list[list[str]]()

    async def resolve(_host: str) -> list[str]:
        given.append(waiting.pop(0))
        return given[-1]

    return given, resolve


def test_a_name_that_leads_inside_after_it_was_checked_is_not_connected_to(receiver: Any) -> None:
    given, resolve = _turning(["93.184.215.14"], ["127.0.0.1"])
    port = receiver.url.split(":")[2].split("/")[0]

    async def run() -> str:
        guard = Guard((), resolve)
        url = f"https://rebinding.example:{port}/hook"
        await guard.find(url)
        sender = WebhookSender(url, guard, 5, default_tls())
        try:
            with pytest.raises(NotSent) as caught:
                await sender.send({}, b"{}")
            return str(caught.value)
        finally:
            await sender.close()

    assert "loopback" in asyncio.run(run())
    assert len(given) == 2
    assert not receiver.requests


def test_a_name_that_changes_during_a_send_changes_nothing_since_it_is_asked_once(receiver: Any) -> None:
    given, resolve = _turning(["127.0.0.1"], ["10.0.0.1"])
    port = receiver.url.split(":")[2].split("/")[0]

    async def run() -> Answer:
        guard = Guard([ip_network("127.0.0.1/32")], resolve)
        sender = WebhookSender(f"http://rebinding.example:{port}/hook", guard, 5, default_tls())
        try:
            return await sender.send({}, b"{}")
        finally:
            await sender.close()

    assert asyncio.run(run()).status == 200
    assert given == [["127.0.0.1"]]
    assert receiver.requests[0][0]["host"] == f"rebinding.example:{port}"
