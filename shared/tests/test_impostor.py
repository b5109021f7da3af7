"""A service whose Secrets Manager is a fake one: it gets no byte of any key.

The service has its whole platform, and real sockets. However the impostor came to be asked, by a static
entry, by a registration, or since he sits at the very address, he hears nothing.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import orjson
import pytest
from fountain_common.errors import Problem
from fountain_common.fakes.impostor import Impostor, pieces
from fountain_common.platform import Platform, create_platform
from fountain_common.settings import ServiceSettings

OWN_KEY = f"fnt_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"
SHOWN_KEY = f"fnt_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"


class Gateway:
    """A gateway that somebody has talked into the address that he wants."""

    def __init__(self, way: str) -> None:
        self.way, self.names, self.url = way, "", ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            instance = {"instance_id": "1", "url": self.names, "version": "1", "status": "up"}
            found = {"service_name": "secrets-manager", "url": self.names}
            body = orjson.dumps({**found, "instances": [instance] if self.way == "registration" else []})
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def talked_into(way: str) -> AsyncIterator[Gateway]:
    gateway = Gateway(way)
    listener = await asyncio.start_server(gateway.handle, "127.0.0.1", 0)
    gateway.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield gateway
    finally:
        listener.close()


def identity_folder(folder: Path, authority: str) -> Path:
    folder = folder / "identity"
    folder.mkdir()
    (folder / "api-key").write_text(OWN_KEY)
    (folder / "ca.pem").write_text(authority)
    return folder


@asynccontextmanager
async def service(tmp_path: Path, gateway: Gateway, authority: str) -> AsyncIterator[Platform]:
    settings = ServiceSettings(
        _env_file=None,
        service_name="orders",
        data_dir=tmp_path,
        identity_dir=identity_folder(tmp_path, authority),
        gateway_url=gateway.url,
        runtime="local",
    )
    platform = create_platform(settings)
    try:
        yield platform
    finally:
        await platform.stop()
        await platform.close()


async def everything(platform: Platform) -> list[object]:
    """All that a service ever asks of the Secrets Manager, its first token and somebody's key included."""
    assert platform.tokens is not None
    assert platform.api_keys is not None
    assert platform.issuer is not None
    return await asyncio.gather(
        platform.tokens.token("notification"),
        platform.api_keys.exchange(SHOWN_KEY, "203.0.113.7"),
        platform.issuer.jwks(),
        platform.issuer.revocations(),
        platform.peers.get("secrets-manager", "/secrets/orders"),
        return_exceptions=True,
    )


def betrayed(impostor: Impostor) -> list[bytes]:
    """What he got of either key."""
    return [
        piece
        for key in (OWN_KEY, SHOWN_KEY)
        for piece in pieces(key)
        if piece in impostor.wire or piece in impostor.heard
    ]


IMPOSTORS = {
    "his own certificate": "secrets-manager",
    "a certificate for another name": "orders",
    "no encryption": None,
}


@pytest.fixture(params=IMPOSTORS.values(), ids=list(IMPOSTORS))
def name(request: pytest.FixtureRequest) -> str | None:
    """What the impostor's certificate is for."""
    found: str | None = request.param
    return found


@pytest.fixture
def real() -> Iterator[Impostor]:
    """The one whose certificate the service believes."""
    with Impostor() as real:
        yield real


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("way", ["static entry", "registration"])
async def test_an_impostor_that_lookup_names_hears_no_byte_of_any_key(
    tmp_path: Path, real: Impostor, name: str | None, way: str, scheme: str
) -> None:
    with Impostor(name) as impostor:
        async with talked_into(way) as gateway, service(tmp_path, gateway, real.certificate) as platform:
            gateway.names = f"{scheme}://127.0.0.1:{impostor.port}"
            answers = await everything(platform)
        assert all(isinstance(answer, Problem) for answer in answers), answers
        assert (impostor.callers > 0) is (scheme == "https")
        assert betrayed(impostor) == []


async def test_an_impostor_at_the_very_address_hears_no_byte_of_any_key(
    tmp_path: Path, real: Impostor, name: str | None
) -> None:
    """The service has spoken with the real one before, and holds what it got there."""
    async with (
        talked_into("registration") as gateway,
        service(tmp_path, gateway, real.certificate) as orders,
    ):
        gateway.names = real.url
        assert [answer for answer in await everything(orders) if isinstance(answer, Exception)] == []
        real.__exit__()
        for holder in (orders.tokens, orders.api_keys):
            holder.forget_all()  # type: ignore[union-attr]
        with Impostor(name, real.port) as impostor:
            answers = await everything(orders)
        assert all(isinstance(answer, Problem) for answer in answers), answers
        assert impostor.callers > 0
        assert betrayed(impostor) == []


async def test_what_is_said_is_heard(tmp_path: Path, real: Impostor) -> None:
    """The other way round, so that silence means something: who is believed hears both keys."""
    async with (
        talked_into("static entry") as gateway,
        service(tmp_path, gateway, real.certificate) as orders,
    ):
        gateway.names = real.url
        await everything(orders)
    assert set(betrayed(real)) == {*pieces(OWN_KEY), *pieces(SHOWN_KEY)}
    assert not any(piece in real.wire for piece in pieces(OWN_KEY))
