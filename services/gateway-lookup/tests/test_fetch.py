"""What the gateway fetches: from the leased pair alone, little, and quickly."""

import asyncio
import ssl
import time
from collections.abc import Callable, Iterator

import httpx2
import pytest
from edge import Seen, Stub
from fountain_common.connections import Connections
from gateway_lookup import fetch
from gateway_lookup.fetch import Fetched, Fetcher
from gateway_lookup.leases import Claim

Answer = Callable[[Seen], tuple[int, dict[str, str], bytes]]


async def no_context() -> ssl.SSLContext:
    raise AssertionError("plain HTTP needs no certificate")


def get(stub: Stub, path: str = "/health") -> Fetched | None:
    async def once() -> Fetched | None:
        fetcher = Fetcher(Connections(), no_context)
        try:
            return await fetcher.get(Claim("shop", "a" * 32, "shop", "127.0.0.1", stub.port), path)
        finally:
            await fetcher.close()

    return asyncio.run(once())


@pytest.fixture
def stub() -> Iterator[Stub]:
    stub = Stub("shop").start()
    yield stub
    stub.released.set()
    stub.stop()


def test_it_answers_status_and_body_and_sends_no_credentials(stub: Stub) -> None:
    stub.answer = lambda seen: (503, {}, b"no")
    assert get(stub) == Fetched(503, b"no")
    assert not {"authorization", "x-api-key", "cookie"} & stub.seen[0].headers.keys()


def test_a_redirect_is_not_followed_and_the_canary_stays_silent(stub: Stub) -> None:
    canary = Stub("canary").start()
    try:
        stub.answer = lambda seen: (
            302,
            {"Location": f"http://127.0.0.1:{canary.port}/latest/meta-data"},
            b"",
        )
        assert get(stub) == Fetched(302, b"")
        assert canary.seen == []
    finally:
        canary.stop()


def test_more_than_a_megabyte_is_not_read(stub: Stub) -> None:
    stub.answer = lambda seen: (200, {}, b"x" * (fetch.LIMIT + 1))
    assert get(stub) is None
    stub.answer = lambda seen: (200, {}, b"x" * fetch.LIMIT)
    assert get(stub) == Fetched(200, b"x" * fetch.LIMIT)


def test_a_body_that_unpacks_to_more_than_a_megabyte_is_not_read(stub: Stub) -> None:
    import gzip

    bomb = gzip.compress(b"x" * (fetch.LIMIT * 20))
    stub.answer = lambda seen: (200, {"Content-Encoding": "gzip"}, bomb)
    assert get(stub) is None


def test_an_endless_answer_ends_after_two_seconds(stub: Stub) -> None:
    began = time.monotonic()
    assert get(stub, "/stream") is None
    assert time.monotonic() - began < fetch.SECONDS + 1.5


def test_nobody_there_is_no_answer() -> None:
    stub = Stub("nobody")
    assert get(stub) is None


def test_the_secrets_manager_is_fetched_under_its_own_name() -> None:
    sent: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        return httpx2.Response(200, content=b"{}")

    async def once() -> None:
        async def context() -> ssl.SSLContext:
            return ssl.create_default_context()

        fetcher = Fetcher(Connections(httpx2.MockTransport(answer)), context)
        claim = Claim("secrets-manager", "a" * 32, "secrets-manager", "10.0.0.2", 8000, scheme="https")
        assert await fetcher.get(claim, "/health") == Fetched(200, b"{}")
        await fetcher.close()

    asyncio.run(once())
    assert sent[0].url == "https://10.0.0.2:8000/health"
    assert sent[0].extensions["sni_hostname"] == "secrets-manager"
