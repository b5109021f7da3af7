"""HTTP clients."""

import ssl

import httpx2
import pytest
from fountain_common.connections import Connections


async def test_a_transport_that_was_put_in_place_carries_everything() -> None:
    transport = httpx2.MockTransport(lambda request: httpx2.Response(204))
    async with Connections(transport).client() as client:
        assert (await client.get("http://anywhere/")).status_code == 204


async def test_redirects_are_not_followed_since_credentials_go_only_where_they_were_meant_to() -> None:
    seen: list[str] = []

    def redirect(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.url.host)
        return httpx2.Response(307, headers={"Location": "http://elsewhere/"})

    async with Connections(httpx2.MockTransport(redirect)).client() as client:
        assert (await client.post("http://here/", headers={"Authorization": "x"})).status_code == 307
    assert seen == ["here"]


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    client = Connections().client()
    assert client._mounts == {}
    await client.aclose()


async def test_the_client_for_peers_trusts_no_certificate_at_all() -> None:
    client = Connections().client()
    context = client._transport._pool._ssl_context  # type: ignore[attr-defined]
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.cert_store_stats()["x509"] == 0
    await client.aclose()
