"""`fountain status` says what is away, whatever that is."""

import json

import httpx2
import pytest
from fountain_cli.api import ISSUER, Api
from fountain_cli.commands import catalog
from fountain_cli.exits import FAILED, OK
from fountain_cli.main import app
from typer.testing import CliRunner

CORE = {"secrets-manager", "gateway-lookup", "notification", "example-consumer"}


def shown(monkeypatch: pytest.MonkeyPatch, away: str | None) -> tuple[int, dict[str, str]]:
    """The exit status, and how each service is said to be, with one behind the edge that does not answer."""

    def client(service: str) -> httpx2.Client:
        def answer(request: httpx2.Request) -> httpx2.Response:
            if service == away:
                return httpx2.Response(503, json={"title": "Service Unavailable", "status": 503})
            if request.url.path == "/auth/token":
                return httpx2.Response(200, json={"access_token": "t", "expires_in": 900})
            if request.url.path == "/registry":
                names = [*sorted(CORE), "stories"]
                if request.url.params.get("cursor") is None:
                    return httpx2.Response(200, json={"items": [{"service_name": names[0]}], "next": "1"})
                items = [{"service_name": name} for name in names[1:]]
                return httpx2.Response(200, json={"items": items, "next": None})
            return httpx2.Response(200, json={"status": "healthy", "version": "1"})

        return httpx2.Client(transport=httpx2.MockTransport(answer), base_url=f"https://{service}.test")

    monkeypatch.setattr(catalog, "connect", lambda: Api("fnt_abcdefghijkl_secret", client))
    done = CliRunner().invoke(app, ["status", "--json"])
    return done.exit_code, {one["service"]: one["status"] for one in json.loads(done.stdout)}


def test_every_service_on_every_page_of_the_registry_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, None) == (OK, dict.fromkeys({*CORE, "stories"}, "healthy"))


@pytest.mark.parametrize("away", [ISSUER, "gateway-lookup"])
def test_the_services_of_the_platform_are_shown_without_tokens_and_map(
    monkeypatch: pytest.MonkeyPatch, away: str
) -> None:
    expected = {name: "unreachable" if name == away else "healthy" for name in CORE}
    assert shown(monkeypatch, away) == (FAILED, expected)
