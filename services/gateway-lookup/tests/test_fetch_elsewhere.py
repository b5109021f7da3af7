"""When it is certain that an instance is not where its lease says, and whether anybody is there at all."""

import socket
import ssl
from collections.abc import Iterator

import pytest
from calling import INSTANCE
from edge import Stub
from fountain_common.connections import Connections
from fountain_common.fakes.impostor import Impostor
from fountain_common.ports import free_port
from gateway_lookup.fetch import Fetcher
from gateway_lookup.leases import Claim

pytestmark = pytest.mark.anyio


def claim(port: int, scheme: str = "http") -> Claim:
    return Claim(
        service="shop",
        instance=INSTANCE,
        identity="shop",
        host="127.0.0.1",
        port=port,
        generation=1,
        scheme=scheme,
    )


@pytest.fixture
def stub() -> Iterator[Stub]:
    stub = Stub("shop").start()
    yield stub
    stub.stop()


async def _trusted() -> ssl.SSLContext:
    return ssl.create_default_context()


async def _no_ca_yet() -> ssl.SSLContext:
    raise FileNotFoundError("ca.pem")


async def test_who_listens_may_be_it(stub: Stub) -> None:
    assert not await Fetcher(Connections(), _trusted).is_elsewhere(claim(stub.port), "orders")


async def test_where_nobody_listens_it_is_not() -> None:
    assert await Fetcher(Connections(), _trusted).is_elsewhere(claim(free_port()), "orders")


async def test_who_cannot_show_its_certificate_is_not_it(stub: Stub) -> None:
    assert await Fetcher(Connections(), _trusted).is_elsewhere(claim(stub.port, "https"), "orders")


async def test_where_the_secrets_manager_shows_its_certificate_no_plain_service_is() -> None:
    with Impostor() as manager:

        async def its_ca() -> ssl.SSLContext:
            return ssl.create_default_context(cadata=manager.certificate)

        assert await Fetcher(Connections(), its_ca).is_elsewhere(claim(manager.port), "secrets-manager")
        # For nobody else is it asked for: an address is not its certificate's to give away.
        assert not await Fetcher(Connections(), its_ca).is_elsewhere(claim(manager.port), "orders")
        # Anybody can speak TLS: that alone proves nothing, nor does a CA that is not there.
        for context in (_trusted, _no_ca_yet):
            assert not await Fetcher(Connections(), context).is_elsewhere(
                claim(manager.port), "secrets-manager"
            )


async def test_without_a_ca_nothing_is_certain(stub: Stub) -> None:
    assert not await Fetcher(Connections(), _no_ca_yet).is_elsewhere(claim(stub.port, "https"), "orders")


async def test_silence_is_not_certain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway_lookup.fetch.SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not await Fetcher(Connections(), _trusted).is_elsewhere(
            claim(silent.getsockname()[1], "https"), "orders"
        )


async def test_whatever_is_answered_somebody_is_there(stub: Stub) -> None:
    for status in (200, 404, 503):
        stub.answer = lambda seen, status=status: (status, {}, b"x" * 4096)
        assert await Fetcher(Connections(), _trusted).answers(claim(stub.port))
    assert {seen.path for seen in stub.seen} == {"/health"}


async def test_where_nobody_listens_or_says_a_word_nobody_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway_lookup.fetch.SECONDS", 0.1)
    assert not await Fetcher(Connections(), _trusted).answers(claim(free_port()))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not await Fetcher(Connections(), _trusted).answers(claim(silent.getsockname()[1]))
    assert not await Fetcher(Connections(), _no_ca_yet).answers(claim(free_port(), "https"))
